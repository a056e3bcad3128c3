"""The same OTLP requests become the same series."""

import itertools
import json

import pytest
import requests

from answers import compare, ask
from servers import Pair

START = 1_750_000_000_000  # milliseconds
CUMULATIVE = 2


def attributes(**values):
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}

    def value(given):
        if isinstance(given, list):
            return {"arrayValue": {"values": [value(each) for each in given]}}
        if isinstance(given, dict):
            return {"kvlistValue": {"values": attributes(**given)}}
        return {kinds[type(given)]: str(given) if type(given) is int else given}

    return [{"key": key, "value": value(given)} for key, given in values.items()]


def point(at: int, labels: dict, start: int = 0, **more):
    times = {"timeUnixNano": str((START + at) * 1_000_000), "startTimeUnixNano": str((START + start) * 1_000_000)}
    return times | {"attributes": attributes(**labels)} | more


def exponential(count: int, scale: int, offset: int, counts: list, zero: int = 0, negative: list = ()):
    return {
        "count": str(count), "sum": float(count) * 1.5, "scale": scale, "zeroCount": str(zero),
        "positive": {"offset": offset, "bucketCounts": [str(each) for each in counts]},
        "negative": {"offset": -2, "bucketCounts": [str(each) for each in negative]},
    }


def metrics(at: int, n: int, without_buckets: bool):
    """Every kind of metric, after so many steps."""
    labels = {"route": "/a", "http.status": 200, "is-good": True, "ratio": 0.5, "list": ["x", 1], "map": {"k": "v"}, "1st": "digit"}
    exemplar = {"timeUnixNano": str((START + at) * 1_000_000), "asDouble": 0.3, "traceId": "5b" * 16, "spanId": "ee" * 8,
                "filteredAttributes": attributes(user="u1")}
    total = {"aggregationTemporality": CUMULATIVE}
    yield {"name": "http.server.requests", "unit": "{request}", "description": "Requests", "sum": total | {
        "isMonotonic": True, "dataPoints": [point(at, labels, asInt=str(3 * n), exemplars=[exemplar]), point(at, {}, asDouble=0.5 * n)]}}
    yield {"name": "sent.bytes", "unit": "By", "sum": total | {"isMonotonic": True, "dataPoints": [point(at, {"to": ""}, asInt=str(n))]}}
    yield {"name": "queue.length", "unit": "1", "sum": total | {"isMonotonic": False, "dataPoints": [point(at, {}, asInt=str(-n))]}}
    yield {"name": "cpu", "unit": "1", "gauge": {"dataPoints": [point(at, {"cpu": 0}, asDouble=0.25), point(at, {"cpu": 1}, flags=1)]}}
    yield {"name": "speed", "unit": "m/s", "gauge": {"dataPoints": [point(at, {}, asDouble=float(n))]}}
    yield {"name": "rate", "unit": "By/d", "gauge": {"dataPoints": [point(at, {}, asDouble="NaN")]}}
    yield {"name": "memory", "unit": "MiBy", "gauge": {"dataPoints": [point(at, {}, asDouble="Infinity")]}}
    yield {"name": "grün", "unit": "Cel", "gauge": {"dataPoints": [point(at, {"größe": "groß"}, asDouble=1.0)]}}
    yield {"name": "__odd..name__", "unit": "%", "gauge": {"dataPoints": [point(at, {"__a": "1", "b__": "2"}, asInt="1")]}}
    yield {"name": "2nd", "gauge": {"dataPoints": [point(at, {"a.b": "dot", "a_b": "line"}, asInt="1")]}}
    yield {"name": "latency", "unit": "s", "histogram": total | {"dataPoints": [
        point(at, {"route": "/a"}, count=str(6 * n), sum=1.5 * n, min=0.1, max=9, explicitBounds=[0.25, 0.5, 1, 2.5],
              bucketCounts=[str(each * n) for each in (1, 2, 0, 2, 1)], exemplars=[exemplar]),
        *([point(at, {"route": "/b"}, count=str(n), sum=0.5 * n)] if without_buckets else []),
        point(at, {"route": "/c"}, count=str(n), explicitBounds=[1e9, 1e21], bucketCounts=[str(n), "0", "0"])]}}
    yield {"name": "size", "unit": "By", "exponentialHistogram": total | {"dataPoints": [
        point(at, {"n": 1}, **exponential(6 * n, 3, -4, [n, 0, 2 * n, 0, 0, 0, 0, 3 * n])),
        point(at, {"n": 2}, **exponential(5 * n, 10, 4, [n, n, 0, n], zero=n, negative=[n])),
        point(at, {"n": 3}, **exponential(n, 0, 0, [], zero=n))]}}
    yield {"name": "summed", "unit": "ms", "summary": {"dataPoints": [
        point(at, {"k": "v"}, count=str(n), sum=2.5 * n, quantileValues=[{"quantile": 0.5, "value": 1.0}, {"quantile": 0.99, "value": 2.0}])]}}


def request(at: int, n: int, without_buckets: bool):
    known = {"service.name": "shop", "service.namespace": "test", "service.instance.id": "i-1", "host.name": "höst", "pid": 42}
    scope = {"name": "lib", "version": "1.2", "attributes": attributes(kind="x")}
    given = list(metrics(at, n, without_buckets))
    return {"resourceMetrics": [
        {"resource": {"attributes": attributes(**known)}, "scopeMetrics": [{"scope": scope, "metrics": given}]},
        {"resource": {"attributes": attributes(**{"service.name": "bare"})}, "scopeMetrics": [{"metrics": given[:2]}]},
        {"resource": {"attributes": attributes(region="eu")}, "scopeMetrics": [{"metrics": given[2:3]}]},
    ]}


SETTINGS = {
    "default": {},
    "utf8": {"translation_strategy": "NoUTF8EscapingWithSuffixes"},
    "bare names": {"translation_strategy": "UnderscoreEscapingWithoutSuffixes"},
    "as they come": {"translation_strategy": "NoTranslation"},
    "promoted": {"promote_resource_attributes": ["host.name", "pid"], "promote_scope_metadata": True},
    "promoted but one": {"promote_all_resource_attributes": True, "ignore_resource_attributes": ["pid"],
                         "keep_identifying_resource_attributes": True},
    "custom buckets": {"convert_histograms_to_nhcb": True},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_otlp(tmp_path, settings):
    config = "storage: {tsdb: {out_of_order_time_window: 10000d}, exemplars: {max_exemplars: 1000}}\n"
    flags = "--web.enable-otlp-receiver", "--enable-feature=native-histograms"
    own = {f"prometheus__otlp__{key}": each if isinstance(each, str) else json.dumps(each) for key, each in settings.items()}
    pair = Pair(tmp_path, config + f"otlp: {json.dumps(settings)}\n", config, flags=flags, settings=own)
    try:
        # A gap, a counter that begins anew, a last step.
        for at, n in [(0, 1), (15_000, 2), (30_000, 3), (400_000, 4), (415_000, 1)]:
            body = json.dumps(request(at, n, without_buckets="convert_histograms_to_nhcb" not in settings))
            answers = [requests.post(f"{server.url}/api/v1/otlp/v1/metrics", data=body.encode(),
                                     headers={"content-type": "application/json"}, timeout=30) for server in pair]
            assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
        end = START / 1000 + 420
        asked = [
            ("/api/v1/query", {"query": '{__name__=~".+"}[500s]', "time": end}),
            ("/api/v1/query_range", {"query": '{__name__=~".+"}', "start": end - 500, "end": end, "step": 20}),
            ("/api/v1/query_exemplars", {"query": '{__name__=~".+"}', "start": end - 500, "end": end}),
        ]
        found = itertools.chain.from_iterable(
            compare(*(ask(server.url, path, parameters) for server in pair)) for path, parameters in asked)
        found = list(found)
        assert not found, f"{len(found)} differences, theirs and ours:\n" + "\n".join(found[:25])
        assert len(ask(pair.tripod.url, *asked[0]).data["result"]) > 20
    finally:
        pair.stop()
