"""The sixseven service and its providers against `tripod serve`: what the guide lists is found again by SQL.

    TRIPOD_BIN=… SIXSEVEN_BIN=… PROVIDERS_BIN=… python guide.py
"""

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

EVENTS = """command_received command_handled command_error health_check get_job jobs_listed job_cancelled intent_parsed
research_execution_error creative_execution_error research_started research_task_created research_poll_completed
research_succeeded research_failed research_cancelled creative_started creative_succeeded creative_async creative_failed
creative_no_image job_created job_started job_progress job_completed external_api_call""".split()
METRICS = {
    "sixseven_commands_total": {"intent", "status"},
    "sixseven_job_duration_seconds": {"job_type", "status"},
    "sixseven_active_jobs": {"job_type"},
    "sixseven_api_latency_seconds": {"endpoint", "method", "status_code"},
    "sixseven_external_api_calls_total": {"provider", "status"},
    "sixseven_external_api_latency_seconds": {"provider"},
}
PARENTS = {
    "handle_command": "POST /command",
    "parse_intent": "handle_command",
    "create_job": "handle_command",
    "execute_research": "handle_command",
    "create_yutori_task": "execute_research",
    "poll_yutori_task": "execute_research",
    "http_get": "poll_yutori_task",
}


def port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def call(method, url, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
            return response.status, json.loads(text) if text.startswith((b"{", b"[")) else text.decode(), response.headers
    except urllib.error.HTTPError as error:
        return error.code, None, error.headers


def until(what, question, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := question():
                return answer
        except OSError:
            pass
        assert time.monotonic() < deadline, f"{what} does not come"
        time.sleep(0.05)


with tempfile.TemporaryDirectory() as data:
    front, grpc, http, jaeger, api, provided = (port() for _ in range(6))
    tripod = os.environ["TRIPOD_BIN"]
    listen = {"listen": front, "otlp-grpc-listen": grpc, "otlp-http-listen": http, "jaeger-listen": jaeger}
    server = [tripod, "serve", "--data-dir", data] + [f"--{name}=127.0.0.1:{port}" for name, port in listen.items()]
    base, providers = f"http://127.0.0.1:{api}", f"http://127.0.0.1:{provided}"
    urls = [f"--yutori-url={providers}", f"--freepik-url={providers}", "--poll-ms=5"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")} | {
        "ENVIRONMENT": "production",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{http}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [
        subprocess.Popen(server, **quiet),
        subprocess.Popen([os.environ["PROVIDERS_BIN"], f"--listen=127.0.0.1:{provided}", "--latency-ms=0"], **quiet),
    ]

    def sql(query):
        lines = subprocess.run([tripod, "query", "--server", f"http://127.0.0.1:{front}", query], capture_output=True, text=True)
        assert lines.returncode == 0, lines.stderr
        return [json.loads(line) for line in lines.stdout.splitlines() if line.startswith("{")]

    def reachable(number):
        socket.create_connection(("127.0.0.1", number), 1).close()
        return True

    def behave(**behaviour):
        status, _, _ = call("PUT", f"{providers}/behaviour", {"latency_ms": 0} | behaviour)
        assert status == 204

    def command(text):
        return call("POST", f"{base}/command", {"text": text, "session_id": "abc-123"})[1].get("job_id")

    def ended(job):
        return until(f"the end of {job}", lambda: call("GET", f"{base}/jobs/{job}")[1]["status"] != "running")

    try:
        until("the server", lambda: reachable(http))
        until("the providers", lambda: reachable(provided))
        service = subprocess.Popen([os.environ["SIXSEVEN_BIN"], f"--listen=127.0.0.1:{api}", *urls], env=environment, **quiet)
        processes.append(service)
        until("the service", lambda: reachable(api))

        behave(async_share=0.0, polls=2)
        status, reply, headers = call("POST", f"{base}/command", {"text": "research bees", "session_id": "abc-123"}, x_request_id="followed-1")
        assert headers["x-request-id"] == "followed-1"
        trace = headers["x-trace-id"]
        ended(reply["job_id"])
        ended(command("create an image of a bridge"))
        ended(command("edit my picture"))
        behave(async_share=1.0, polls=2)
        ended(command("draw a fox"))
        behave(error_rate=1.0)
        ended(command("research bees"))
        ended(command("draw a fox"))
        behave(polls=1_000_000)
        job = command("research slow bees")
        call("DELETE", f"{base}/jobs/{job}")
        ended(job)
        assert call("POST", f"{base}/command", {"text": " "})[0] == 400
        assert call("GET", f"{base}/health")[1]["status"] == "healthy"
        call("GET", f"{base}/jobs")

        # Stopping delivers all that is left.
        service.terminate()
        assert service.wait(30) == 0

        found = {row["event"] for row in sql("select distinct event from logs where service_name = 'sixseven'")}
        assert set(EVENTS) <= found, f"missing events: {set(EVENTS) - found}"
        unequal = "event <> body or logger is null or logger <> scope_name"
        rows = sql(f"select event, logger, body from logs where event_name is not null and ({unequal})")
        assert not rows, rows
        loggers = {row["logger"] for row in sql("select distinct logger from logs where event = 'job_completed'")}
        assert loggers == {"tripod::jobs"}, loggers

        spans = {row["span_id"]: row for row in sql(f"select * from spans where trace_id = '{trace}'")}
        for span in spans.values():
            if parent := PARENTS.get(span["name"]):
                assert spans[span["parent_span_id"]]["name"] == parent, span["name"]
        names = [span["name"] for span in spans.values()]
        assert set(PARENTS) <= set(names) and names.count("http_get") == 2, names

        rows = sql("select body from logs where request_id = 'followed-1'")
        followed = {row["body"] for row in rows}
        assert {"command_received", "intent_parsed", "research_started", "research_succeeded", "job_completed"} <= followed

        # The ids have columns on spans too: of the request itself, and of all that it caused.
        for span in spans.values():
            assert (span["request_id"], span["correlation_id"]) == ("followed-1", "followed-1"), span["name"]
        ids = "request_id = 'followed-1' and session_id = 'abc-123'"
        rows = sql(f"select name, job_id from spans where {ids}")
        caused = {row["name"]: row["job_id"] for row in rows}
        assert set(PARENTS) | {"POST /command"} <= set(caused), caused
        for name in ("execute_research", "create_yutori_task", "poll_yutori_task", "http_get"):
            assert caused[name] == reply["job_id"], caused
        rows = sql(f"select event from logs where job_id = '{reply['job_id']}' and session_id = 'abc-123'")
        assert {"job_created", "job_started", "job_completed"} <= {row["event"] for row in rows}, rows

        for name, labels in METRICS.items():
            rows = sql(f"select labels from series where name in ('{name}', '{name}_count')")
            assert rows, f"{name} is missing"
            for row in rows:
                found = json.loads(row["labels"])
                assert set(found) - {"job", "instance"} == labels, (name, found)
        print(f"{len(EVENTS)} events, {len(PARENTS)} kinds of spans and {len(METRICS)} metrics were found by query")
    finally:
        for process in reversed(processes):
            if process.poll() is None:
                process.terminate()
                process.wait(30)
