"""Published OTLP/JSON examples: accepted or refused as their names say."""

import json
import os
import re
from pathlib import Path

import pytest
import requests

FOLDER = Path(os.environ.get("TRIPOD_CONFORMANCE", Path(__file__).parents[3] / "shared/conformance")) / "otlp"
EXAMPLES = sorted(FOLDER.rglob("*.json")) if FOLDER.is_dir() else []

# What the message of a refusal must name.
MISTAKES = {"events_INVALID_kvlist.json": "kvlistValue", "metrics_INVALID_old_buckets.json": "bucketCounts"}

# Every sample of every series.
POINTS = "points('{__name__=~\".+\"}')"

# Points without a value, which rows could hold and samples cannot: said, not kept.
VALUELESS = {"serialized_metrics.json"}

# By the request's member: path, table, and the lists that lead to its items.
SIGNALS = {
    "resourceSpans": ("/v1/traces", "spans", ("scopeSpans", "spans")),
    "resourceLogs": ("/v1/logs", "logs", ("scopeLogs", "logRecords")),
    "resourceMetrics": ("/v1/metrics", POINTS, ("scopeMetrics", "metrics")),
}


def items(request: dict, member: str):
    _, _, (scopes, inner) = SIGNALS[member]
    for resource in request[member]:
        for scope in resource.get(scopes, []):
            yield from scope.get(inner, [])


def points(metric: dict) -> list:
    return next((data["dataPoints"] for data in metric.values() if isinstance(data, dict) and "dataPoints" in data), [])


def row_condition(member: str, item: dict) -> str:
    """A condition that finds the item's rows."""

    def quoted(text):
        return "'" + text.replace("'", "''") + "'"

    if member == "resourceSpans":
        return f"span_id = {quoted(item['spanId'].lower())} and name = {quoted(item['name'])}"
    if member == "resourceMetrics":
        # A unit or a kind may follow.
        return "starts_with(name, " + quoted(re.sub("[^a-zA-Z0-9_:]", "_", item["name"])) + ")"
    body = item.get("body", {})
    time = int(item.get("timeUnixNano", 0))
    condition = f"coalesce(time_unix_nano, cast(time as bigint)) = {time}"
    return condition + (f" and body = {quoted(body['stringValue'])}" if "stringValue" in body else "")


def test_the_data_is_there():
    if not EXAMPLES:
        pytest.skip(f"NOT RUN: the conformance data is not at {FOLDER}")
    assert {path.name for path in EXAMPLES} >= MISTAKES.keys()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_example(server, example):
    text = example.read_text()
    request = json.loads(text)
    (member,) = request
    path, table, _ = SIGNALS[member]
    before = server.count(table)
    answer = requests.post(
        server.otlp_http + path, data=text.encode(), headers={"content-type": "application/json"}, timeout=30
    )
    if "INVALID" in example.name:
        assert answer.status_code == 400, answer.text
        assert MISTAKES[example.name] in answer.json()["message"]
        assert server.count(table) == before
        return
    assert answer.status_code == 200, answer.text
    partial = answer.json().get("partialSuccess")
    if example.name in VALUELESS:
        assert partial["rejectedDataPoints"] == "2" and "has no value" in partial["errorMessage"]
        assert server.count(table) == before
        return
    assert not partial, answer.text
    found = list(items(request, member))
    if table != POINTS:
        assert server.count(table) == before + len(found) > before
    for item in found:
        # Several examples have the same points, which are samples once.
        if table != POINTS or points(item):
            assert server.count(table, row_condition(member, item)) >= 1, item
