"""What Grafana's data source for Prometheus asks, as it asks it."""

import gzip

import pytest
import requests

from answers import Answer, compare
from samples import END, START

HEADERS = {
    "User-Agent": "Grafana/12.2.0",
    "Accept-Encoding": "gzip",
    "X-Grafana-Org-Id": "1",
    "X-Datasource-Uid": "prom",
    "X-Panel-Id": "2",
    "X-Dashboard-Uid": "abc",
    "X-Grafana-Referer": "http://localhost:3000/d/abc",
    "X-Query-Group-Id": "d0f3",
    "X-Rule-Source": "",
    "Fromalert": "false",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RANGE = {"start": f"{START // 1000}", "end": f"{END // 1000}"}

# A name, method, path and parameters, in the order in which a new data source and a first dashboard ask.
REQUESTS = [
    ("health check", "POST", "/api/v1/query", {"query": "1+1", "time": "4"}),
    ("rules of the ruler", "GET", "/api/v1/rules", {}),
    ("explore: names", "GET", "/api/v1/label/__name__/values", RANGE),
    ("explore: names by prefix", "GET", "/api/v1/label/__name__/values", RANGE | {"match[]": '{__name__=~"(?i).*http.*"}', "limit": "40000"}),
    ("explore: labels", "POST", "/api/v1/labels", RANGE),
    ("explore: labels of a metric", "POST", "/api/v1/labels", RANGE | {"match[]": '{__name__="http_requests_total"}', "limit": "40000"}),
    ("explore: labels by GET", "GET", "/api/v1/labels", RANGE | {"match[]": "http_requests_total"}),
    ("explore: values", "GET", "/api/v1/label/instance/values", RANGE | {"match[]": 'http_requests_total{job="api"}', "limit": "40000"}),
    ("explore: values of a quoted name", "GET", "/api/v1/label/U__http_2e_route/values", RANGE),
    ("variable: label_values(job)", "GET", "/api/v1/label/job/values", RANGE),
    ("variable: label_values(up, instance)", "GET", "/api/v1/label/instance/values", RANGE | {"match[]": "up"}),
    ("variable: query_result()", "POST", "/api/v1/query", {"query": "sum by (job) (up)", "time": f"{END // 1000}.123"}),
    ("variable: metrics()", "GET", "/api/v1/label/__name__/values", RANGE),
    ("series of a variable", "POST", "/api/v1/series", RANGE | {"match[]": 'pod_cpu{pod="pod-3"}'}),
    ("panel: time series", "POST", "/api/v1/query_range", RANGE | {"query": 'sum by (code) (rate(http_requests_total{job=~"api|web"}[5m0s]))', "step": "15"}),
    ("panel: step of a fraction", "POST", "/api/v1/query_range", {"start": f"{START // 1000}.5", "end": f"{START // 1000 + 600}.5", "query": "temperature_celsius", "step": "0.5"}),
    ("panel: instant table", "POST", "/api/v1/query", {"query": "topk(5, temperature_celsius)", "time": f"{END / 1000:.3f}"}),
    ("panel: heat map", "POST", "/api/v1/query_range", RANGE | {"query": "sum(increase(latency_seconds_bucket[1m])) by (le)", "step": "60"}),
    ("panel: native heat map", "POST", "/api/v1/query_range", RANGE | {"query": "sum(rate(rpc_seconds[2m]))", "step": "60"}),
    ("panel: too many steps", "POST", "/api/v1/query_range", {"start": "0", "end": "86400", "query": "up", "step": "1"}),
    ("panel: a typing mistake", "POST", "/api/v1/query_range", RANGE | {"query": "sum(rate(up[5m])", "step": "15"}),
    ("panel: nothing", "POST", "/api/v1/query_range", RANGE | {"query": "no_such_metric", "step": "15"}),
    ("panel: a remark", "POST", "/api/v1/query_range", RANGE | {"query": "rate(temperature_celsius[5m])", "step": "60"}),
    ("annotation", "POST", "/api/v1/query_range", RANGE | {"query": "changes(up[5m]) > 0", "step": "60"}),
    ("exemplars", "POST", "/api/v1/query_exemplars", RANGE | {"query": 'histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket{handler="/api"}[5m])))'}),
    ("format", "POST", "/api/v1/format_query", {"query": "sum(rate(up[5m]))by(job)>0"}),
    ("parse", "POST", "/api/v1/parse_query", {"query": "sum(rate(up[5m]))by(job)>0"}),
]


def request(server, method, path, parameters):
    how = {"data": parameters, "headers": HEADERS | FORM} if method == "POST" else {"params": parameters, "headers": HEADERS}
    return requests.request(method, server.url + path, timeout=60, stream=True, **how)


@pytest.mark.parametrize(("method", "path", "parameters"), [each[1:] for each in REQUESTS], ids=[each[0] for each in REQUESTS])
def test_requests_have_the_same_answers(written, method, path, parameters):
    answers = []
    for server in written:
        response = request(server, method, path, parameters)
        raw = response.raw.read()
        compressed = response.headers.get("Content-Encoding") == "gzip"
        body = gzip.decompress(raw) if compressed else raw
        # Whoever compresses says so, and long answers are compressed.
        assert compressed or len(body) < 4096, server.url
        answers.append((response, Answer(response.status_code, requests.models.complexjson.loads(body))))
    (theirs, their_body), (ours, our_body) = answers
    for body in (their_body, our_body):
        if path.endswith(("series", "query_exemplars")) and body.data:
            body.body["data"] = sorted(body.data, key=str)
    found = compare(their_body, our_body)
    assert not found, "\n".join(found[:12])
    assert theirs.headers["Content-Type"] == ours.headers["Content-Type"]


def test_the_build_says_prometheus_3(written):
    """Grafana switches features by the version, and takes whoever has an `application` for another product."""
    for server in written:
        told = requests.get(f"{server.url}/api/v1/status/buildinfo", headers=HEADERS, timeout=10).json()
        # The Prometheus that is built here has no version in it.
        version = told["data"]["version"]
        assert told["status"] == "success" and (version.startswith("3.") or server is written.prometheus), told
        assert told["data"].keys() == {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"}
        assert "features" not in told["data"] and "application" not in told["data"]


@pytest.mark.parametrize("parameters", [{"limit": "5000"}, {"limit": "0"}, {"metric": "latency_seconds"}, {"metric": "nothing"}, {"limit_per_metric": "1"}, {"limit": "x"}], ids=str)
def test_metadata(written, parameters):
    theirs, ours = (requests.get(f"{server.url}/api/v1/metadata", params=parameters, headers=HEADERS, timeout=10).json() for server in written)
    # Prometheus keeps metadata of what it scrapes alone, Tripod that of remote write too.
    assert (theirs["status"], theirs.get("error")) == (ours["status"], ours.get("error"))
    assert isinstance(ours.get("data", {}), dict)


def test_a_browser_asks_first(written):
    """The data source in the mode of direct access."""
    asked = {"Origin": "http://grafana.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    theirs, ours = (requests.options(f"{server.url}/api/v1/query_range", headers=asked, timeout=10) for server in written)
    assert theirs.status_code == ours.status_code
    for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Expose-Headers"):
        assert theirs.headers.get(name) == ours.headers.get(name), name
