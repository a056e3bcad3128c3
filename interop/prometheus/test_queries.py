"""The same samples, the same queries, the same answers."""

from collections import Counter

import pytest

from answers import ask, compare, counted
from queries import all_queries, sorted_ones
from samples import END, START

# Seconds: at a sample, between samples, after the last; start, end and step.
MOMENTS = [START / 1000 + 60 * 60, START / 1000 + 93 * 60 + 7.123, END / 1000 + 100]
GRIDS = [
    (START / 1000 - 300, END / 1000 + 600, 60),
    (START / 1000 + 3600.5, START / 1000 + 5400, 13.7),
    (START / 1000, END / 1000, 613),
]

# Where Tripod answers otherwise on purpose.
OTHERWISE = {
    "ln(odd)": "the logarithm of the smallest number is -744.4; Go's assembly for amd64 takes it for a normal one",
    "log10(odd)": "as ln",
    'up{job="\\xff"}': "labels are UTF-8 here, so it is refused, and not found to be equal to none",
    "histogram_quantile(0.5, lost)": "with observations of NaN Prometheus goes on with another bucket, and answers 1e18 for 0.7",
    "histogram_quantile(0.95, lost)": "as above",
    "histogram_quantile(0, lost)": "as above",
}

# What depends on the order of series where the language leaves it open: that of creation in Prometheus, that of labels in
# Tripod. These have the same answers when both are the same.
BY_ORDER = {
    'sum({__name__=~"custom_seconds|queue_seconds"})': "custom buckets that differ are remarked on if they meet before the sum is given up",
    'avg({__name__=~"custom_seconds|queue_seconds"})': "as above",
    "stddev without (instance) (http_requests_total)": "sums are rounded",
    "stdvar without (instance) (http_requests_total)": "as above",
    "stddev(odd)": "sums overflow, or do not",
    "stddev(-odd)": "as above",
    "stdvar(odd)": "as above",
    "stdvar(-odd)": "as above",
    "limitk(2, temperature_celsius)": "the first ones are taken",
    "limitk by (job) (1, http_requests_total)": "as above",
    "left * on (b) right": "the error names two of three, in their order",
    "left - on () right": "as above",
    "sort(odd)": "series of one value",
    "sort_desc(odd)": "as above",
}


def differences(pair, query: str, ordered: bool = False) -> list[str]:
    found = []
    asked = [("/api/v1/query", {"query": query, "time": moment}) for moment in MOMENTS]
    if not ordered:
        asked += [("/api/v1/query_range", {"query": query, "start": a, "end": b, "step": step}) for a, b, step in GRIDS]
    for path, parameters in asked:
        theirs, ours = (ask(server.url, path, parameters) for server in pair)
        what = ", ".join(f"{key}={value}" for key, value in parameters.items() if key != "query")
        found += [f"{path} {what}: {each}" for each in compare(theirs, ours, ordered)]
        if "step" in parameters and (counts := counted(ours)):
            steps = counted_by_step(pair.prometheus, **parameters)
            found += [f"{path} {what}: {steps} in all steps and {counts}"] if steps != counts else []
    return found


def counted_by_step(server, query: str, start: float, end: float, step: float) -> dict:
    """What remarks on a range should count: those on an instant are right, so their sum over the steps."""
    counts = Counter()
    for time in range(round(start * 1000), round(end * 1000) + 1, round(step * 1000)):
        counts.update(counted(ask(server.url, "/api/v1/query", {"query": query, "time": time / 1000})))
    return dict(counts)


def check(pair, query: str, ordered: bool = False):
    found = differences(pair, query, ordered)
    assert not found, f"{query}: {len(found)} differences, theirs and ours:\n" + "\n".join(found[:12])


@pytest.mark.parametrize("query", [query for query in all_queries() if query not in OTHERWISE | BY_ORDER])
def test_queries_have_the_same_answers(shuffled, query):
    check(shuffled, query)


@pytest.mark.parametrize("query", [query for query in sorted_ones() if query not in BY_ORDER])
def test_sorted_results_have_the_same_order(shuffled, query):
    check(shuffled, query, ordered=True)


@pytest.mark.parametrize("query", BY_ORDER)
def test_what_depends_on_the_order_of_series_is_the_same_in_the_same_order(written, query):
    check(written, query, ordered=query in sorted_ones())


@pytest.mark.parametrize("query", BY_ORDER)
def test_what_depends_on_the_order_of_series_still_does(shuffled, query):
    """So that the table above says the truth."""
    assert differences(shuffled, query, ordered=query in sorted_ones()), f"{query} has the same answers; take it out of BY_ORDER"


@pytest.mark.parametrize("query", OTHERWISE)
def test_what_differs_on_purpose_still_differs(written, query):
    """So that the table above says the truth."""
    assert differences(written, query), f"{query} has the same answers now; take it out of OTHERWISE"


def test_most_queries_find_something(written):
    """So that nothing is equal because it is empty."""
    queries = all_queries()
    found = sum(
        bool(ask(written.prometheus.url, "/api/v1/query", {"query": query, "time": MOMENTS[0]}).body.get("data", {}).get("result"))
        for query in queries
    )
    assert found > 1000 and found / len(queries) > 0.6, f"{found} of {len(queries)}"
