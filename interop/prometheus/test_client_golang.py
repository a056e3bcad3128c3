"""A service with the official Go client, scraped by both: native histograms, unusual names and texts, exemplars."""

import os

import pytest
import requests

from answers import ask, compare
from servers import Pair, Process, free_port, until

QUERIES = [
    '{job="go",__name__!~"scrape_.*|up"}', "requests_total", '{__name__=~"tank.level"}',
    "native_seconds", "histogram_quantile(0.9, native_seconds)", "histogram_count(native_seconds)", "histogram_sum(both_seconds)",
    "histogram_fraction(0, 1, native_seconds)", "histogram_quantile(0.5, classic_seconds_bucket)", "summary_seconds",
    "classic_seconds_bucket", "both_seconds", "count({job='go'})", "scrape_samples_scraped", "up",
]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("go")
    address = f"127.0.0.1:{free_port()}"
    client = Process(folder, os.environ["TRIPOD_GO_CLIENT"], address)
    until("the client", lambda: requests.get(f"http://{address}/metrics", timeout=5).ok)
    config = (
        "global: {scrape_interval: 2s, scrape_timeout: 2s}\nstorage: {exemplars: {max_exemplars: 1000}}\n"
        f"scrape_configs: [{{job_name: go, scrape_native_histograms: true, static_configs: [{{targets: ['{address}']}}]}}]\n"
    )
    pair = Pair(folder, config)
    for server in pair:
        until("two scrapes", lambda: ask(server.url, "/api/v1/query", {"query": "sum_over_time(up[1m]) > 1"}).data["result"])
    yield pair
    pair.stop()
    client.stop()


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_scraped_is_the_same(scraped, query):
    theirs, ours = (ask(server.url, "/api/v1/query", {"query": query}) for server in scraped)
    assert theirs.data["result"], query
    # Each server asked at a time of its own.
    for answer in (theirs, ours):
        for series in answer.data["result"]:
            for sample in (series[kind] for kind in ("value", "histogram") if kind in series):
                sample[0] = 0
    found = compare(theirs, ours)
    assert not found, "\n".join(found[:12])


def test_exemplars_and_metadata_are_the_same(scraped):
    theirs, ours = (ask(server.url, "/api/v1/query_exemplars", {"query": '{job="go"}'}).data for server in scraped)
    seen = [{(str(each["seriesLabels"]), e["value"], str(e["labels"])) for each in answer for e in each["exemplars"]} for answer in (theirs, ours)]
    assert seen[0] == seen[1] and len(seen[0]) > 3
    theirs, ours = (ask(server.url, "/api/v1/metadata", {}) for server in scraped)
    assert not compare(theirs, ours)
