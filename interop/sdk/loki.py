"""Lines pushed by the SDK to a real Loki, found again by LogQL.

    TRIPOD_LOKI=…/loki LOKI_EXAMPLE=…/examples/loki python loki.py
"""

import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from ports import port, until

CONFIGURATION = """
auth_enabled: true
analytics: {{reporting_enabled: false}}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {http}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: error}}
common:
  path_prefix: {data}
  replication_factor: 1
  ring: {{instance_addr: 127.0.0.1, kvstore: {{store: inmemory}}}}
  storage: {{filesystem: {{chunks_directory: {data}/chunks, rules_directory: {data}/rules}}}}
frontend: {{address: 127.0.0.1}}
schema_config:
  configs: [{{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}]
"""
AWKWARD = 'a "quoted" \\ text\nwith two lines, tabs\t and ü€🦀'
EVENTS = [("info", "line_logged"), ("warning", "slow_line"), ("error", "line_failed")]
THREADS, COUNT = 4, 300


class Loki:
    """The server; it can be stopped and started again on the same data and ports."""

    def __init__(self, data):
        self.http, self.data = port(), data
        self.file = Path(data, "loki.yaml")
        self.file.write_text(CONFIGURATION.format(http=self.http, grpc=port(), data=data))
        self.address = f"http://127.0.0.1:{self.http}"
        self.start()

    def start(self):
        self.log = open(Path(self.data, "loki.log"), "ab")
        command = [os.environ["TRIPOD_LOKI"], f"-config.file={self.file}"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd=self.data)
        until("Loki", lambda: self.get("/ready") is not None, 120)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()

    def get(self, path, **parameters):
        request = urllib.request.Request(f"{self.address}{path}?{urllib.parse.urlencode(parameters)}", headers={"X-Scope-OrgID": "team-a"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            if path == "/ready":
                return None
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, query):
        """All entries as (labels, nanoseconds, line), oldest first."""
        now = time.time_ns()
        answer = self.get("/loki/api/v1/query_range", query=query, start=now - 3600 * 10**9, end=now, limit=5000, direction="forward")
        streams = json.loads(answer)["data"]["result"]
        entries = [(stream["stream"], int(entry[0]), entry[1]) for stream in streams for entry in stream["values"]]
        return sorted(entries, key=lambda entry: entry[1])

    def count(self, query):
        result = json.loads(self.get("/loki/api/v1/query", query=query))["data"]["result"]
        return {tuple(sorted(sample["metric"].items())): int(sample["value"][1]) for sample in result}


class Service:
    """The example, which logs what it is told to."""

    def __init__(self, loki, encoding):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")} | {
            "ENVIRONMENT": "production", "LOG_STDOUT": "false", "LOKI_ENDPOINT": loki.address, "SERVICE_NAME": f"sdk-{encoding}",
        }
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([os.environ["LOKI_EXAMPLE"], encoding], env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe)

    def log(self, batch, count):
        """Gives the books: lines emitted, delivered and dropped so far."""
        self.process.stdin.write(f"{batch} {count}\n")
        self.process.stdin.flush()
        line = self.process.stderr.readline()
        assert line, self.process.communicate()
        return tuple(int(number) for number in line.split())

    def end(self):
        """What was written to the console."""
        output, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, errors
        return output


def same(loki, encoding):
    """Every line is there, once, under its labels, with its metadata, in its order."""
    service = Service(loki, encoding)
    total = THREADS * COUNT
    assert service.log("first", COUNT) == (total, total, 0)
    assert service.end() == "", "nothing goes to the console while Loki takes it"

    name = f"sdk-{encoding}"
    entries = loki.query(f'{{service="{name}"}}')
    assert len(entries) == total, (encoding, len(entries))
    seen = {thread: [] for thread in range(THREADS)}
    for labels, nanoseconds, text in entries:
        line = json.loads(text)
        thread, number = line["thread"], line["number"]
        seen[thread].append(number)
        level, event = EVENTS[number % 3]
        job_type = ["research", "creative"][thread % 2]
        assert (line["event"], line["level"], line["batch"]) == (event, level, "first"), line
        expected = {"service": name, "environment": "production", "level": level, "job_type": job_type}
        # Loki answers with the structured metadata among the labels.
        expected |= {"request_id": f"first-{thread}", "user_id": "u-7", "trace_id": line["trace_id"], "span_id": line["span_id"]}
        added = {name: value for name, value in labels.items() if name not in expected}
        assert set(added) <= {"service_name", "detected_level"}, added
        assert {name: labels.get(name) for name in expected} == expected, labels
        micros = f"{nanoseconds // 1000 % 10**6:06}"
        assert line["timestamp"] == time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(nanoseconds // 10**9)) + micros + "Z", line
        assert "canary-hunter2" not in text, "a secret is in Loki"
        if event == "line_logged":
            assert (line["text"], line["password"]) == (AWKWARD, "[REDACTED]"), line
    for thread, numbers in seen.items():
        assert numbers == list(range(COUNT)), f"the order of thread {thread}"

    selected = loki.query(f'{{service="{name}", level="error", job_type="creative"}} | json | number=5')
    assert [json.loads(text)["thread"] for _, _, text in selected] in ([1, 3], [3, 1]), selected
    assert len(loki.query(f'{{service="{name}"}} | request_id="first-2"')) == COUNT
    assert len(loki.query(f'{{service="{name}"}} |= "ü€🦀"')) == total // 3
    counts = loki.count(f'sum by (level) (count_over_time({{service="{name}"}}[1h]))')
    assert counts == {(("level", level),): total // 3 for level, _ in EVENTS}, counts
    return total


def away(loki):
    """Loki stops: lines go to the console. It comes back: lines go to it again, and the others stay where they are."""
    service = Service(loki, "gzip")
    assert service.log("before", 3) == (12, 12, 0)
    loki.stop()
    assert service.log("without", 3) == (24, 12, 12)
    loki.start()
    assert service.log("after", 3) == (36, 24, 12)
    loki.stop()
    assert service.log("again", 3) == (48, 24, 24)
    loki.start()
    notices, lines = [], []
    for line in service.end().splitlines():
        (lines if line.startswith("{") else notices).append(line)
    assert len(notices) == 2 and all("takes no lines" in notice for notice in notices), notices
    batches = [json.loads(line)["batch"] for line in lines]
    assert sorted(batches) == ["again"] * 12 + ["without"] * 12, batches
    assert not any("canary-hunter2" in line for line in lines), "a secret is on the console"
    for batch, count in [("before", 12), ("without", 0), ("after", 12), ("again", 0)]:
        found = loki.query(f'{{service="sdk-gzip"}} | json | batch="{batch}"')
        assert len(found) == count, (batch, len(found))


with tempfile.TemporaryDirectory() as data:
    loki = Loki(data)
    try:
        lines = {encoding: same(loki, encoding) for encoding in ("snappy", "gzip", "json")}
        away(loki)
        print(f"{lines} lines were found by LogQL, and a Loki that was away twice was done without")
    finally:
        loki.stop()
