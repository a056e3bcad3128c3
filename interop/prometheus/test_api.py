"""Prometheus' HTTP API beside queries: what series there are, what is known of them, what is refused."""

import json
import time

import pytest
import requests

from answers import ask, compare, differences
from queries import all_queries, wrong_ones
from remote_write import Histogram, Series, encode, send
from samples import END, START
from servers import Prometheus, until

HOUR = {"start": START / 1000 + 3600, "end": START / 1000 + 7200}
SELECTORS = [
    "up", '{job="api"}', '{__name__=~"http_.*",code="500"}', '{"http.server.duration"}', "nothing", '{job=~".*"}', "{}", "up{", "rate(up[5m])", "up[5m]", '{job!="api"}', '{instance=~".+"}',
    "pod_cpu", 'pod_cpu{pod="pod-1"}', "single", "rpc_seconds", '{__name__=~".+"}', '{text=~"("}', "up offset 5m", "up @ 1",
]
LIMITS = ["", "0", "1", "3", "-1", "x", "1.5", "99999999999999999999"]


def same(pair, path, parameters=None, **how):
    theirs, ours = (ask(server.url, path, parameters or {}, **how) for server in pair)
    found = compare(theirs, ours)
    assert not found, f"{path} {parameters}: theirs and ours:\n" + "\n".join(found[:12])
    return theirs


@pytest.mark.parametrize("post", [False, True], ids=["get", "post"])
@pytest.mark.parametrize("path", ["series", "labels", "label/job/values", "label/__name__/values", "label/pod/values"])
@pytest.mark.parametrize("selector", SELECTORS)
def test_series_and_labels(written, path, selector, post):
    if post and path.startswith("label/"):
        pytest.skip("only GET is there")
    for times in ({}, HOUR, {"start": START / 1000 - 7200, "end": START / 1000 - 3600}, {"start": END / 1000}, {"end": START / 1000 + 1}):
        answer = sorted_by_labels if path == "series" else None
        theirs, ours = (ask(server.url, f"/api/v1/{path}", {"match[]": selector} | times, post) for server in written)
        if answer and theirs.status == 200 == ours.status:
            theirs.body["data"], ours.body["data"] = answer(theirs.data), answer(ours.data)
        if path != "series" and times and theirs.status == 200 == ours.status:
            theirs.body["data"] = in_range(written.prometheus, theirs.data, path, selector, times)
        found = compare(theirs, ours)
        assert not found, f"{path} {selector} {times}: theirs and ours:\n" + "\n".join(found[:12])


def in_range(prometheus, names, path, selector, times):
    """Prometheus names labels of all series of a block, Tripod of those alone that have samples in the range of time."""
    found = ask(prometheus.url, "/api/v1/series", {"match[]": selector} | times).data
    if path == "labels":
        exact = {label for series in found for label in series}
    else:
        exact = {series[path.split("/")[1]] for series in found if path.split("/")[1] in series}
    assert exact <= set(names)
    return sorted(exact)


def sorted_by_labels(all_series):
    return sorted(all_series, key=lambda labels: json.dumps(labels, sort_keys=True))


@pytest.mark.parametrize("path", ["labels", "label/job/values", "label/__name__/values", "label/nothing/values", "label/U__http_2e_route/values", "label/http.route/values", "label/日本/values", "label/a-b/values"])
@pytest.mark.parametrize("limit", LIMITS)
def test_labels_with_a_limit(written, path, limit):
    same(written, f"/api/v1/{path}", {"limit": limit})
    same(written, f"/api/v1/{path}", {"limit": limit, "match[]": ["up", "pod_cpu"]})


@pytest.mark.parametrize("limit", LIMITS)
def test_limits_of_other_answers(written, limit):
    for query in ("up", "temperature_celsius", "1", '"text"'):
        theirs, ours = (ask(server.url, "/api/v1/query", {"query": query, "limit": limit, "time": START / 1000 + 3600}) for server in written)
        assert not compare(theirs, ours)
        same(written, "/api/v1/query_range", {"query": query, "limit": limit, "step": 60} | HOUR)
    theirs, ours = (ask(server.url, "/api/v1/series", {"match[]": "up", "limit": limit}) for server in written)
    assert (theirs.status, theirs.body.get("warnings"), theirs.body.get("error")) == (ours.status, ours.body.get("warnings"), ours.body.get("error"))
    assert len(theirs.data or []) == len(ours.data or [])


@pytest.mark.parametrize("parameters", [
    {}, {"query": "up"}, {"query": "up", "start": "1"}, {"query": "up", "start": "x", "end": "1", "step": "1"}, {"query": "up", "start": "2", "end": "1", "step": "1"}, {"query": "up", "start": "1", "end": "2", "step": "0"},
    {"query": "up", "start": "1", "end": "2", "step": "-5"}, {"query": "up", "start": "1", "end": "2", "step": "x"}, {"query": "up", "start": "0", "end": "11001", "step": "1"}, {"query": "up", "start": "0", "end": "11000", "step": "1"},
    {"query": "up", "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:10:00.5+00:00", "step": "1m30s"}, {"query": "up", "start": "1", "end": "2", "step": "1", "timeout": "x"}, {"query": "up", "start": "1", "end": "2", "step": "1", "lookback_delta": "x"},
    {"query": "up[5m]", "start": "1", "end": "2", "step": "1"}, {"query": '"a"', "start": "1", "end": "2", "step": "1"}, {"query": "1", "start": "1", "end": "2", "step": "0.3"}, {"query": "up", "start": "1e400", "end": "2", "step": "1"},
    {"query": "up", "start": str(START / 1000), "end": str(END / 1000), "step": "60", "lookback_delta": "30s"}, {"query": "up", "start": str(START / 1000), "end": str(END / 1000), "step": "60", "timeout": "30s"}, {"query": "up", "start": "1", "end": "2", "step": "1e20"}, {"query": "up", "start": "1", "end": "2", "step": "1", "stats": "all"},
], ids=str)
def test_parameters_of_range_queries(written, parameters):
    theirs, ours = (ask(server.url, "/api/v1/query_range", parameters) for server in written)
    for answer in (theirs, ours):
        without_times(answer)
    found = compare(theirs, ours)
    assert not found, "\n".join(found)


def without_times(answer):
    stats = (answer.data or {}).get("stats")
    if stats:
        assert all(value >= 0 for value in stats.pop("timings").values())
        # How the work is done differs.
        stats["samples"].pop("peakSamples")
        # Tripod counts samples read for the query as a whole.
        stats["samples"].pop("samplesReadPerStep", None)


@pytest.mark.parametrize("query", ["up", "rate(http_requests_total[5m])", "sum(rate(rpc_seconds[5m]))", "max_over_time(up[10m:1m])", "1", "temperature_celsius offset 5m", "up @ 1767230000", "histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))", "gappy + gappy", "mixed"])
@pytest.mark.parametrize("stats", ["true", "all", "x"])
def test_statistics(written, query, stats):
    theirs, ours = (ask(server.url, "/api/v1/query", {"query": query, "time": START / 1000 + 5000, "stats": stats}) for server in written)
    for answer in (theirs, ours):
        without_times(answer)
    found = compare(theirs, ours)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("parameters", [{"query": "up", "time": "x"}, {"query": "up", "time": "-1"}, {"query": "up", "time": "1e15"}, {"query": "up", "time": ""}, {"query": "up", "timeout": "1ns"}, {"query": "up", "timeout": ""}, {"query": "up", "lookback_delta": "0"}, {"query": "up", "lookback_delta": "-5m"}], ids=str)
def test_parameters_of_instant_queries(written, parameters):
    theirs, ours = (ask(server.url, "/api/v1/query", parameters) for server in written)
    if "time" not in parameters and theirs.status == 200 == ours.status:
        return
    found = compare(theirs, ours)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("query", [*dict.fromkeys([*all_queries()[::3], *wrong_ones()])])
def test_queries_are_printed_and_shown_as_trees(written, query):
    for path in ("format_query", "parse_query"):
        same(written, f"/api/v1/{path}", {"query": query})


@pytest.mark.parametrize("query", ["latency_seconds_bucket", 'latency_seconds_bucket{handler="/"}', "rate(latency_seconds_bucket[5m])", "up", "1", "x(", "up + latency_seconds_bucket", ""])
def test_exemplars(written, query):
    for times in ({}, HOUR, {"start": 2, "end": 1}, {"start": "x"}):
        theirs, ours = (ask(server.url, "/api/v1/query_exemplars", {"query": query} | times) for server in written)
        for answer in (theirs, ours):
            if answer.data:
                answer.body["data"] = sorted(answer.data, key=lambda each: json.dumps(each["seriesLabels"], sort_keys=True))
        found = compare(theirs, ours)
        assert not found, f"{query} {times}:\n" + "\n".join(found)


@pytest.mark.parametrize("path", ["/api/v1/rules", "/api/v1/alerts", "/api/v1/targets", "/api/v1/scrape_pools", "/api/v1/targets/metadata", "/api/v1/alertmanagers", "/api/v1/notifications", "/-/healthy", "/-/ready"])
def test_what_is_empty_and_what_is_well(written, path):
    theirs, ours = (requests.get(f"{server.url}{path}", timeout=10) for server in written)
    if path.startswith("/-/"):
        assert (theirs.status_code, theirs.text) == (ours.status_code, ours.text.replace("Tripod", "Prometheus"))
    else:
        assert (theirs.status_code, theirs.json()) == (ours.status_code, ours.json())


@pytest.mark.parametrize("parameters", ["type=alert", "type=record", "type=x", "exclude_alerts=true", "exclude_alerts=x", "rule_name[]=a", "match[]=up{", "group_limit=1", "group_limit=x", "group_next_token=a", "state=active"], ids=str)
def test_parameters_of_targets_and_rules(written, parameters):
    for path in ("/api/v1/rules", "/api/v1/targets"):
        same(written, f"{path}?{parameters}")


@pytest.mark.parametrize("path", ["/api/v1/query", "/api/v1/series", "/api/v1/labels", "/api/v1/metadata", "/nothing", "/api/v1/label/job/values"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "OPTIONS"])
def test_methods(written, path, method):
    # HEAD is left out: it is answered here, as HTTP wants it.
    theirs, ours = (requests.request(method, f"{server.url}{path}", timeout=10) for server in written)
    assert theirs.status_code == ours.status_code


def test_the_shape_of_what_is_told_of_the_server(written):
    """What they say differs, how they say it does not."""
    def shape(value):
        if isinstance(value, dict):
            return {key: shape(each) for key, each in value.items()}
        return [shape(each) for each in value[:1]] if isinstance(value, list) else type(value).__name__

    for path in ("runtimeinfo", "buildinfo", "tsdb", "walreplay", "config"):
        theirs, ours = (ask(server.url, f"/api/v1/status/{path}", {}) for server in written)
        assert theirs.status == ours.status == 200
        found = list(differences(shape(theirs.data), shape(ours.data)))
        assert not found, f"{path}: {found}"


@pytest.mark.parametrize("path", ["search/metric_names", "search/label_names", "search/label_values", "notifications", "targets/relabel_steps"])
def test_what_is_not_switched_on_is_answered_alike(written, path):
    same(written, f"/api/v1/{path}", {"search[]": "up", "match[]": "up"})


def test_blocks_have_their_form(written):
    theirs, ours = (ask(server.url, "/api/v1/status/tsdb/blocks", {}) for server in written)
    assert theirs.status == ours.status == 200 and theirs.data.keys() == ours.data.keys()


def test_features_that_are_named_alike(written):
    theirs, ours = (ask(server.url, "/api/v1/features", {}).data for server in written)
    for section in ("promql", "promql_functions", "promql_operators"):
        assert not list(differences(theirs[section], ours[section]))


# One by one: in an answer with several float histograms Prometheus 3.15 gives each the buckets of the last, whose memory
# they share.
HISTOGRAMS = ("fed_native", "fed_native_gauge", "fed_native_empty", "fed_custom", "fed_custom_gaps", "fed_custom_gauge")
FLOATS = '{__name__=~"fed.(gauge|nan|inf|small|large|dots)"}'
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


@pytest.fixture(scope="module")
def federated(written):
    """What is old is not shown, so something new is written first."""
    now = int(time.time() * 1000)
    native = dict(count=6, sum=7.5, schema=1, zero_threshold=0.001, zero_count=1, negative_spans=[(0, 1)], negative=[1], positive_spans=[(-1, 2), (1, 1)], positive=[2, 1, 1])
    custom = dict(count=9, sum=7.5, schema=-53, custom=[0.5, 1.0, 2.5, 5.0])
    samples = {
        "fed_gauge": 1.5, "fed_nan": float("nan"), "fed_inf": float("-inf"), "fed_small": 1e-9, "fed_large": 1.25e22, "fed.dots": 3.0,
        "fed_native": Histogram(**native, integers=True), "fed_native_gauge": Histogram(**native, reset_hint=3), "fed_native_empty": Histogram(0, 0, 3, 0.001),
        "fed_custom": Histogram(**custom, positive_spans=[(0, 3)], positive=[1, 2, 6]), "fed_custom_gaps": Histogram(**custom, positive_spans=[(1, 1), (2, 1)], positive=[1, 8]),
        "fed_custom_gauge": Histogram(**custom, positive_spans=[(0, 3)], positive=[1, 2, 6], reset_hint=3),
    }
    request = encode([Series({"__name__": name, "job": "f", "text": 'a"b\\c\nd', **({"instance": "i"} if value == 1.5 else {})}, [(now, value)]) for name, value in samples.items()])
    for server in written:
        assert send(server.url, request).status_code == 204
    return written


def test_federation(federated):
    for accept in (None, "text/plain; version=1.0.0; escaping=allow-utf-8", "text/plain;version=0.0.4;escaping=underscores", PROTOBUF, f"{PROTOBUF};escaping=allow-utf-8;q=0.6,text/plain;q=0.2", f"{PROTOBUF};q=0.1,text/plain;q=0.2"):
        for selector in (FLOATS, "up", "fed_gauge{", *HISTOGRAMS):
            theirs, ours = (
                requests.get(f"{server.url}/federate", params={"match[]": selector}, headers={"Accept": accept} if accept else {}, timeout=10) for server in federated
            )
            assert theirs.status_code == ours.status_code, (selector, accept)
            assert theirs.content.splitlines() == ours.content.splitlines(), (selector, accept)
            assert theirs.headers["Content-Type"] == ours.headers["Content-Type"]


def test_a_prometheus_that_federates_gets_the_same_from_both(federated, tmp_path_factory):
    metrics = (FLOATS, *HISTOGRAMS)
    jobs = "".join(
        f"""
  - job_name: {source}-{number}
    metrics_path: /federate
    honor_labels: true
    scrape_native_histograms: true
    params: {{'match[]': ['{selector}']}}
    static_configs: [{{targets: ['{server.url.split("//")[1]}'], labels: {{source: {source}}}}}]
"""
        for source, server in zip(("theirs", "ours"), federated)
        for number, selector in enumerate(metrics)
    )
    above = Prometheus(tmp_path_factory.mktemp("above"), f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:{jobs}")
    try:
        until("a scrape of all", lambda: len(ask(above.url, "/api/v1/query", {"query": "up == 1"}).data["result"]) == 2 * len(metrics))

        def stored(source):
            found = ask(above.url, "/api/v1/query", {"query": f'{{__name__=~"fed.*",source="{source}"}}[1h]'}).data["result"]
            without = lambda metric: {name: value for name, value in metric.items() if name != "source"}
            return sorted(({**each, "metric": without(each["metric"])} for each in found), key=lambda each: sorted(each["metric"].items()))

        theirs, ours = stored("theirs"), stored("ours")
        assert not list(differences(theirs, ours))
        natives = {each["metric"]["__name__"] for each in ours if each.get("histograms")}
        assert natives >= {"fed_native", "fed_native_gauge", "fed_native_empty"}, natives
        assert "fed_custom_gaps_bucket" in {each["metric"]["__name__"] for each in ours}
    finally:
        above.stop()
