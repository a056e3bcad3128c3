// A `tripod serve` process on free ports, and questions to it in SQL.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MILLISECONDS = 120_000;

export class Server {
  #process;
  #directory;
  #addresses = {};
  #log = [];

  static async start() {
    const server = new Server();
    server.#directory = await mkdtemp(join(tmpdir(), 'tripod-interop-'));
    const binary = process.env.TRIPOD_BIN;
    if (!binary) throw new Error("TRIPOD_BIN must name the server's binary; interop/run does that");
    const listeners = ['--listen', '--otlp-grpc-listen', '--otlp-http-listen', '--jaeger-listen'];
    const ports = listeners.flatMap((flag) => [flag, '127.0.0.1:0']);
    const data = join(server.#directory, 'data');
    server.#process = spawn(binary, ['serve', '--data-dir', data, ...ports], { stdio: ['ignore', 'ignore', 'pipe'] });
    // A run that breaks off must not leave a server behind.
    process.once('exit', () => server.#process.kill('SIGKILL'));
    createInterface(server.#process.stderr).on('line', (line) => server.#follow(line));
    const deadline = Date.now() + START_MILLISECONDS;
    while (!(await server.#isReady())) {
      if (server.#process.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the server does not start:\n${server.#log.slice(-20).join('\n')}`);
      }
      await sleep(20);
    }
    return server;
  }

  #follow(line) {
    this.#log.push(line);
    let event;
    try {
      event = JSON.parse(line);
    } catch {
      return;
    }
    if (event.message === 'listening') this.#addresses[event.listener] = `http://${event.address}`;
  }

  async #isReady() {
    if (!this.#addresses.front_door) return false;
    try {
      return (await fetch(`${this.#addresses.front_door}/health/ready`)).ok;
    } catch {
      return false;
    }
  }

  get otlpGrpc() {
    return this.#addresses.otlp_grpc;
  }

  get otlpHttp() {
    return this.#addresses.otlp_http;
  }

  /** Rows as objects. Times and JSON columns are text. */
  async query(query) {
    const answer = await fetch(`${this.#addresses.front_door}/api/v1/sql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status}: ${text}\n${query}`);
    const { columns, rows, error, truncated } = JSON.parse(text);
    if (error || truncated) throw new Error(error ?? 'the answer is cut off');
    return rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index]])));
  }

  /** Stops as an operator would; gives the exit code. */
  async stop() {
    if (this.#process.exitCode === null) {
      this.#process.kill('SIGTERM');
      await once(this.#process, 'exit');
    }
    await rm(this.#directory, { recursive: true, force: true });
    return this.#process.exitCode;
  }
}

/** A time as SQL answers it, RFC 3339 in UTC, as bigint nanoseconds since the epoch. */
export function nanos(text) {
  const [, whole, fraction = ''] = /^(.*T\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  return BigInt(Date.parse(`${whole}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}
