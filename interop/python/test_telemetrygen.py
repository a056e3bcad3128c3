"""The collector project's own load generator: counts found equal counts reported."""

import os
import re
import subprocess

import pytest

WORKERS = 2


def generate(server, signal: str, transport: str, service: str, *arguments) -> str:
    """Runs telemetrygen and gives its report."""
    binary = os.environ.get("TRIPOD_TELEMETRYGEN", "telemetrygen")
    endpoint = server.otlp_grpc if transport == "grpc" else server.otlp_http.removeprefix("http://")
    command = [binary, signal, "--otlp-insecure", "--otlp-endpoint", endpoint, "--service", service]
    command += ["--workers", str(WORKERS), "--rate", "0", *arguments]
    if transport == "http":
        command.append("--otlp-http")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout + done.stderr


def reported(report: str, name: str) -> int:
    """The sum over workers of a number in the report's structured lines."""
    numbers = re.findall(rf'"{name}": (\d+)', report)
    assert len(numbers) >= WORKERS, report[-2_000:]
    return sum(map(int, numbers))


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_traces(server, transport, service):
    # One request a span: the generator's batches drop what does not fit into its queue, and it does not say so.
    report = generate(
        server, "traces", transport, service, "--traces", "500", "--child-spans", "3", "--batch=false"
    )
    traces = reported(report, "traces")
    assert traces == WORKERS * 500
    condition = f"service_name = '{service}'"
    assert server.count("spans", condition) == traces * 4
    assert server.query(f"select count(distinct trace_id) as traces from spans where {condition}") == [
        {"traces": traces}
    ]


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_logs(server, transport, service):
    report = generate(server, "logs", transport, service, "--logs", "2000", "--body", "the message ☃")
    logs = reported(report, "logs")
    assert logs == WORKERS * 2_000
    assert server.count("logs", f"service_name = '{service}' and body = 'the message ☃'") == logs


# The series that count the points of each kind.
COUNTED = {"Gauge": "gen", "Sum": "gen_total", "Histogram": "gen_count", "ExponentialHistogram": "gen"}


@pytest.mark.parametrize("kind", COUNTED)
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_metrics(server, transport, kind, service):
    # A series for each point: all of one series within a millisecond would be one sample.
    unique = ("--unique-timeseries", "--unique-timeseries-duration", "1h")
    report = generate(server, "metrics", transport, service, "--metrics", "500", "--metric-type", kind, *unique)
    metrics = reported(report, "metrics")
    assert metrics == WORKERS * 500
    assert server.count(f"points('{COUNTED[kind]}{{job=\"{service}\"}}')") == metrics
