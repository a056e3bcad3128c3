"""A Prometheus without data of its own answers from Tripod by remote read, as the one that has the data."""

import pytest

from answers import ask, compare
from samples import END, START
from servers import Prometheus

QUERIES = [
    "up", "http_requests_total", 'http_requests_total{job="api",code!="200"}', 'temperature_celsius{zone=~"z1.*"}', 'up{job!~"a.*"}', "rate(http_requests_total[5m])", "sum by (le) (rate(latency_seconds_bucket[5m]))",
    "rpc_seconds", "rate(rpc_seconds[5m])", "custom_seconds", "ended", "flapping", "gappy", "odd", "pod_cpu", "max_over_time(temperature_celsius[1h:1m])", "up offset 30m", '{"http.server.duration"}', "nothing", "count({__name__=~\".+\"}) by (job)",
    # A client that reads samples rather than chunks gets the float before a histogram of the same series.
    pytest.param("mixed", marks=pytest.mark.xfail(strict=True, reason="floats and histograms in one series")),
    'text{text=~"日.*"}', "histogram_quantile(0.9, sum(rate(custom_seconds[10m])))", "queue_seconds", "single", "absent(nothing)",
]


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


def test_series_and_labels_are_read(written, reader):
    for path in ("series", "labels", "label/code/values"):
        asked = {"match[]": "http_requests_total", "start": START / 1000, "end": END / 1000}
        theirs, read = (ask(url, f"/api/v1/{path}", asked) for url in (written.prometheus.url, reader.url))
        # Of the questions about labels, remote read knows that about series.
        if path == "series":
            assert sorted(map(str, theirs.data)) == sorted(map(str, read.data))


def test_what_is_no_request_is_refused(written):
    import requests

    for body in (b"", b"nonsense", b"\x03\x08\xff\xff\xff"):
        theirs, ours = (requests.post(f"{server.url}/api/v1/read", data=body, timeout=10) for server in written)
        assert theirs.status_code == ours.status_code == 400, (body, theirs.status_code, ours.status_code, ours.text)
