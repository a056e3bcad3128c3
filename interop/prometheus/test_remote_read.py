"""A Prometheus without data of its own answers from Tripod by remote read, as the one that has the data."""

import cramjam
import pytest
import requests

from answers import ask, compare
from remote_write import nested, number, text
from samples import END, START
from servers import Prometheus

QUERIES = [
    "up", "http_requests_total", 'http_requests_total{job="api",code!="200"}', 'temperature_celsius{zone=~"z1.*"}', 'up{job!~"a.*"}', "rate(http_requests_total[5m])", "sum by (le) (rate(latency_seconds_bucket[5m]))",
    "rpc_seconds", "rate(rpc_seconds[5m])", "custom_seconds", "ended", "flapping", "gappy", "odd", "pod_cpu", "max_over_time(temperature_celsius[1h:1m])", "up offset 30m", '{"http.server.duration"}', "nothing", "count({__name__=~\".+\"}) by (job)",
    "mixed", "mixed[10m]", "timestamp(mixed)", "ended[10m]", "sum_over_time(mixed[20m])", "increase(rpc_seconds[1h])",
    'text{text=~"日.*"}', "histogram_quantile(0.9, sum(rate(custom_seconds[10m])))", "queue_seconds", "single", "absent(nothing)",
]


def post(server, body: bytes) -> requests.Response:
    return requests.post(f"{server.url}/api/v1/read", data=body, timeout=10)


@pytest.fixture(scope="module")
def reader(written, tmp_path_factory):
    config = f"remote_read: [{{url: '{written.tripod.url}/api/v1/read', read_recent: true}}]\n"
    reader = Prometheus(tmp_path_factory.mktemp("reader"), config)
    yield reader
    reader.stop()


@pytest.mark.parametrize("query", QUERIES)
def test_samples_are_read(written, reader, query):
    asked = [
        ("/api/v1/query", {"query": query, "time": START / 1000 + 3600}),
        ("/api/v1/query_range", {"query": query, "start": START / 1000, "end": END / 1000, "step": 97}),
    ]
    for path, parameters in asked:
        theirs, read = ask(written.prometheus.url, path, parameters), ask(reader.url, path, parameters)
        found = compare(theirs, read)
        assert not found, f"{path}: from its own data and from Tripod:\n" + "\n".join(found[:12])


def test_chunks_are_streamed(written, reader):
    """A Prometheus that reads asks for chunks first. Nothing of it was answered with samples, and nothing broken off."""
    ask(reader.url, "/api/v1/query", {"query": "up", "time": START / 1000 + 3600})
    lines = requests.get(f"{reader.url}/metrics", timeout=10).text.splitlines()
    kinds = [line for line in lines if line.startswith("prometheus_remote_read_client_queries_total")]
    assert kinds and all('code="200"' in line and 'response_type="chunked"' in line for line in kinds), kinds


def test_the_kind_of_response_is_negotiated(written):
    query = number(1, START) + number(2, START + 3_600_000) + nested(3, text(2, "__name__") + text(3, "rpc_seconds"))
    for accepted in ([], [0], [1], [1, 0], [0, 1], [7, 1], [7]):
        body = nested(1, query) + b"".join(number(2, each) for each in accepted)
        theirs, ours = (post(server, bytes(cramjam.snappy.compress_raw(body))) for server in written)
        assert (theirs.status_code, theirs.headers["Content-Type"]) == (ours.status_code, ours.headers["Content-Type"])
        if not theirs.ok:
            assert theirs.text == ours.text


def test_series_and_labels_are_read(written, reader):
    for path in ("series", "labels", "label/code/values"):
        asked = {"match[]": "http_requests_total", "start": START / 1000, "end": END / 1000}
        theirs, read = (ask(url, f"/api/v1/{path}", asked) for url in (written.prometheus.url, reader.url))
        # Of the questions about labels, remote read knows that about series.
        if path == "series":
            assert sorted(map(str, theirs.data)) == sorted(map(str, read.data))


def test_what_is_no_request_is_refused(written):
    for body in (b"", b"nonsense", b"\x03\x08\xff\xff\xff"):
        theirs, ours = (post(server, body) for server in written)
        assert theirs.status_code == ours.status_code == 400, (body, theirs.status_code, ours.status_code, ours.text)
