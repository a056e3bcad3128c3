"""A `tripod serve` process on free ports, and questions to it in SQL."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import requests

LISTENERS = {"front_door", "otlp_grpc", "otlp_http", "jaeger", "prometheus"}
START_SECONDS = 120
STOP_SECONDS = 60


class Server:
    """Starts with the object and is ready when that is there."""

    def __init__(self, data_dir: Path, **settings):
        binary = os.environ.get("TRIPOD_BIN")
        assert binary, "TRIPOD_BIN must name the server's binary; interop/run does that"
        self.data_dir = data_dir
        self.log: list[str] = []
        self._addresses: dict[str, str] = {}
        self._listening = threading.Event()
        command = [binary, "serve", "--data-dir", str(data_dir)]
        for flag in ("--listen", "--otlp-grpc-listen", "--otlp-http-listen", "--jaeger-listen", "--prometheus-listen"):
            command += [flag, "127.0.0.1:0"]
        for key, value in settings.items():
            command += ["--set", f"{key.replace('__', '.')}={value}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()
        assert self._listening.wait(START_SECONDS) and self._addresses.keys() >= LISTENERS, self._explain()
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self._explain()
            time.sleep(0.02)

    def _follow(self):
        with self.process.stderr as lines:
            for line in lines:
                self.log.append(line)
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if event.get("message") == "listening":
                    self._addresses[event["listener"]] = event["address"]
                    if self._addresses.keys() >= LISTENERS:
                        self._listening.set()
        self._listening.set()

    def _explain(self) -> str:
        return "the server does not start:\n" + "".join(self.log[-20:])

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.front_door}/health/ready", timeout=5).ok
        except requests.ConnectionError:
            return False

    @property
    def front_door(self) -> str:
        return "http://" + self._addresses["front_door"]

    @property
    def otlp_grpc(self) -> str:
        """Host and port."""
        return self._addresses["otlp_grpc"]

    @property
    def otlp_http(self) -> str:
        return "http://" + self._addresses["otlp_http"]

    @property
    def jaeger(self) -> str:
        return "http://" + self._addresses["jaeger"]

    @property
    def prometheus(self) -> str:
        return "http://" + self._addresses["prometheus"]

    def query(self, sql: str) -> list[dict]:
        """Rows as objects. Times are text, JSON columns are text too."""
        answer = requests.post(f"{self.front_door}/api/v1/sql", json={"query": sql}, timeout=120)
        assert answer.ok, f"{answer.status_code}: {answer.text}\n{sql}"
        body = answer.json()
        assert "error" not in body and not body.get("truncated"), body.get("error", "the answer is cut off")
        names = [column["name"] for column in body["columns"]]
        return [dict(zip(names, row, strict=True)) for row in body["rows"]]

    def count(self, table: str, condition: str = "true") -> int:
        return self.query(f"select count(*) as count from {table} where {condition}")[0]["count"]

    def stop(self):
        """Stops as an operator would; the exit code must be 0."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS)
        self._follower.join()
        assert code == 0, f"the server stopped with {code} after SIGTERM:\n" + "".join(self.log[-20:])


def nanos(text: str | None) -> int | None:
    """Nanoseconds since the epoch of a time as SQL answers it, RFC 3339 in UTC."""
    if text is None:
        return None
    whole, fraction = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text).groups()
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp())
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
