"""Both scrape the node exporter and the sixseven service: the same recordings, whose answers must be equal, and the live ones."""

import os
import shutil
import time

import pytest
import requests
import yaml

from answers import ask, compare
from relay import STEP, Relay, stamped
from servers import Pair, Process, free_port, until

RECORDINGS = 20
JOBS = ("node", "sixseven")
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"

# Which change nothing.
RULES = "[{source_labels: [__address__, zone], regex: 'never;(.+)', action: drop}, {source_labels: [zone], target_label: zone, action: lowercase}, {source_labels: [zone], target_label: __tmp, modulus: 7, action: hashmod}, {regex: none, action: labeldrop}]"

QUERIES = [
    '100 - (avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[1m])) * 100)', "sum by (mode) (rate(node_cpu_seconds_total[1m]))", "node_load1", 'count(node_cpu_seconds_total{mode="idle"})', "node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes",
    "(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes) * 100", 'node_filesystem_avail_bytes{fstype!~"tmpfs|rootfs"} / node_filesystem_size_bytes', "rate(node_disk_read_bytes_total[1m])", 'irate(node_network_receive_bytes_total{device!="lo"}[1m]) * 8', "node_time_seconds - node_boot_time_seconds",
    "rate(node_context_switches_total[1m])", "rate(node_intr_total[30s])", "node_uname_info", "sum by (device) (rate(node_network_transmit_bytes_total[1m]))", 'node_filefd_allocated / node_filefd_maximum', "rate(node_disk_io_time_seconds_total[1m])", "node_netstat_Tcp_CurrEstab", "deriv(node_memory_MemFree_bytes[2m])",
    "predict_linear(node_filesystem_avail_bytes[3m], 3600)", "node_scrape_collector_success == 0", "topk(3, node_scrape_collector_duration_seconds)", "go_goroutines", "go_gc_duration_seconds", "process_resident_memory_bytes", "rate(process_cpu_seconds_total[1m])", "count by (__name__) ({job=\"node\"})", '{job="node"}', '{job="sixseven"}',
    "sum by (le) (rate(sixseven_api_latency_seconds_bucket[1m]))", "histogram_quantile(0.95, sum by (le, endpoint) (rate(sixseven_api_latency_seconds_bucket[2m])))", "rate(sixseven_api_latency_seconds_sum[1m]) / rate(sixseven_api_latency_seconds_count[1m])", "sum by (endpoint, status_code) (sixseven_api_latency_seconds_count)", "changes(sixseven_api_latency_seconds_count[3m])", "avg_over_time(node_load1[2m:15s])", "stddev_over_time(node_load1[3m])",
]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    node, service = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    processes = [
        Process(folder, shutil.which("prometheus-node-exporter"), f"--web.listen-address={node}"),
        Process(folder, os.environ["SIXSEVEN_BIN"], "--listen", service),
    ]
    for address in (node, service):
        until(address, lambda: requests.get(f"http://{address}/metrics", timeout=5).ok)
    yield {"node": node, "sixseven": service}
    for process in processes:
        process.stop()


def scrape_configs(interval, target, path):
    jobs = "".join(
        f"  - {{job_name: {job}, metrics_path: {path(job)}, static_configs: [{{targets: ['{target(job)}'], labels: {{zone: z}}}}], relabel_configs: {RULES}}}\n" for job in JOBS
    )
    return (
        f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: 1m}}\n"
        f"storage: {{exemplars: {{max_exemplars: 10000}}}}\nscrape_configs:\n{jobs}"
    )


def has_recording(server, moment):
    """A scrape is stored as a whole, so that any sample of it stands for all."""
    found = ask(server.url, "/api/v1/query", {"query": "{job=~'.+'}[1s]", "time": moment}).data["result"]
    return {each["metric"]["job"] for each in found} == set(JOBS)


@pytest.fixture(scope="module")
def relayed(live, tmp_path_factory):
    """Both servers after they have scraped all recordings, and the time of the first."""
    first = int(time.time() * 1000) // STEP * STEP - (RECORDINGS + 4) * STEP
    recordings = {job: [] for job in JOBS}
    for at in range(RECORDINGS):
        for job in JOBS:
            openmetrics = job == "sixseven"
            for _ in range(at % 3):
                requests.get(f"http://{live['sixseven']}/health", timeout=5)
            answer = requests.get(f"http://{live[job]}/metrics", headers={"Accept": OPENMETRICS if openmetrics else TEXT}, timeout=10)
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text" if openmetrics else "text/plain")
            recordings[job].append(stamped(answer.text, first + at * STEP, openmetrics))
    relay = Relay(recordings, {"node": TEXT, "sixseven": OPENMETRICS})
    pair = Pair(tmp_path_factory.mktemp("relayed"), scrape_configs("500ms", lambda _: relay.address, lambda job: f"/{job}"))
    try:
        for relay.turn in range(RECORDINGS):
            moment = (first + relay.turn * STEP) / 1000
            for server in pair:
                until(f"recording {relay.turn}", lambda: has_recording(server, moment))
        yield pair, first
    finally:
        pair.stop()
        relay.stop()


@pytest.mark.parametrize("query", QUERIES)
def test_queries_over_recordings_have_the_same_answers(relayed, query):
    pair, first = relayed
    # What is written of each scrape bears the time of the scrape.
    last = first + (RECORDINGS - 1) * STEP
    asked = [
        ("/api/v1/query", {"query": query, "time": last / 1000}),
        ("/api/v1/query_range", {"query": query, "start": first / 1000, "end": last / 1000, "step": 15}),
        ("/api/v1/query_range", {"query": query, "start": first / 1000 - 20, "end": last / 1000, "step": 7.3}),
    ]
    for path, parameters in asked:
        theirs, ours = (ask(server.url, path, parameters) for server in pair)
        found = compare(theirs, ours)
        assert not found, f"{path}:\n" + "\n".join(found[:12])


def test_the_recordings_were_found(relayed):
    pair, first = relayed
    for server in pair:
        found = ask(server.url, "/api/v1/query", {"query": "count({job=~'.+'})", "time": (first + STEP * RECORDINGS) / 1000}).data["result"]
        assert float(found[0]["value"][1]) > 300, server.url


def test_metadata_and_exemplars_of_recordings(relayed):
    pair, first = relayed
    theirs, ours = (ask(server.url, "/api/v1/metadata", {}) for server in pair)
    assert len(theirs.data) > 100
    for answer in (theirs, ours):
        # What the targets say of one name is in no order there.
        answer.body["data"] = {name: sorted(known, key=lambda each: sorted(each.items())) for name, known in answer.data.items()}
    assert any(len(known) > 1 for known in theirs.data.values())
    assert not compare(theirs, ours)
    for limit in (1, 2):
        theirs, ours = (ask(server.url, "/api/v1/metadata", {"limit_per_metric": limit}).data for server in pair)
        assert {name: len(known) for name, known in theirs.items()} == {name: len(known) for name, known in ours.items()}
    theirs, ours = (ask(server.url, "/api/v1/query_exemplars", {"query": '{job="sixseven"}'}) for server in pair)
    assert sorted(map(str, theirs.data)) == sorted(map(str, ours.data))
    theirs, ours = (ask(server.url, "/api/v1/targets/metadata", {"metric": "node_load1"}) for server in pair)
    assert not compare(theirs, ours)


@pytest.mark.parametrize(
    "asked", [
        {"scrapePool": "node", "labels": '{"__address__": "a:1", "zone": "Z"}'}, {"scrapePool": "node", "labels": '{"__address__": "never", "zone": "z"}'}, {"scrapePool": "node", "labels": "{}"},
        {"scrapePool": "other", "labels": "{}"}, {"scrapePool": "node"}, {"labels": "{}"}, {},
    ],
)
def test_what_rules_do_is_told(relayed, asked):
    theirs, ours = (ask(server.url, "/api/v1/targets/relabel_steps", asked) for server in relayed[0])
    assert not compare(theirs, ours)


# With nobody at the other end.
JOBS_IN_FULL = """
global: {scrape_interval: 20m, body_size_limit: 1536KB, sample_limit: 9}
scrape_configs:
  - {job_name: plain, static_configs: [{targets: ['127.0.0.1:1'], labels: {x: y, version: 1.10, zip: 01234, hex: 0x1F, big: 1e3, yes: yes, nothing: 'null'}}, {targets: ['127.0.0.1:2', '127.0.0.1:3']}]}
  - job_name: full
    honor_labels: true
    honor_timestamps: false
    params: {q: [a, b]}
    scheme: https
    metrics_path: /m
    scrape_interval: 1h30m
    scrape_timeout: 30s
    scrape_native_histograms: true
    fallback_scrape_protocol: PrometheusText0.0.4
    enable_compression: false
    basic_auth: {username: u, password: hidden}
    tls_config: {insecure_skip_verify: true, server_name: z, min_version: TLS12}
    http_headers: {X-A: {values: [a, b], secrets: [hidden]}}
    follow_redirects: false
    proxy_url: http://u:hidden@127.0.0.1:1
    no_proxy: 10.0.0.0/8
    sample_limit: 7
    label_limit: 30
    native_histogram_bucket_limit: 100
    file_sd_configs: [{files: [/nowhere/*.json]}]
    http_sd_configs: [{url: 'http://127.0.0.1:1/x', refresh_interval: 1h, authorization: {credentials: hidden}}]
    relabel_configs: [{source_labels: [a, b], target_label: b, separator: '|'}, {action: drop, source_labels: [__address__], regex: z.*}, {action: hashmod, source_labels: [a], modulus: 4, target_label: c}]
    metric_relabel_configs: [{action: labeldrop, regex: foo}, {source_labels: [a], regex: (.+)x, replacement: '${1}y', target_label: a}]
  - {job_name: bearer, bearer_token: hidden, static_configs: [{targets: ['127.0.0.1:1']}]}
  - {job_name: file, authorization: {type: Token, credentials_file: /nowhere/token}, static_configs: [{targets: ['127.0.0.1:1']}]}
"""


@pytest.fixture(scope="module")
def configured(tmp_path_factory):
    pair = Pair(tmp_path_factory.mktemp("configured"), JOBS_IN_FULL)
    try:
        for server in pair:
            until("all jobs", lambda: len(ask(server.url, "/api/v1/scrape_pools", {}).data["scrapePools"]) == 4)
            until("a job", lambda: ask(server.url, "/api/v1/scrape_pools/config", {"scrapePool": "file"}).status == 200)
        yield pair
    finally:
        pair.stop()


@pytest.mark.parametrize("pool", ["plain", "full", "bearer", "file"])
def test_jobs_are_shown_with_their_defaults_and_without_secrets(configured, pool):
    theirs, ours = (ask(server.url, "/api/v1/scrape_pools/config", {"scrapePool": pool}).data["yaml"] for server in configured)
    assert yaml.safe_load(theirs) == yaml.safe_load(ours)
    assert "hidden" not in ours


@pytest.mark.parametrize("asked", [{"scrapePool": "other"}, {"scrapePool": ""}, {}])
def test_jobs_that_are_not_there_are_refused(configured, asked):
    theirs, ours = (ask(server.url, "/api/v1/scrape_pools/config", asked) for server in configured)
    assert not compare(theirs, ours)


def test_live_targets_give_the_same_series(live, tmp_path_factory):
    pair = Pair(tmp_path_factory.mktemp("scraped"), scrape_configs("2s", lambda job: live[job], lambda _: "/metrics"))
    try:
        for server in pair:
            until("two scrapes", lambda: ask(server.url, "/api/v1/query", {"query": "min(sum_over_time(up[1m])) > 1"}).data["result"], 60)
        found = []
        for server in pair:
            series = ask(server.url, "/api/v1/series", {"match[]": '{job=~".+"}'}).data
            # The exporter counts the answers that it gives; a server that came later has not seen all of the process.
            found.append({str(sorted(each.items())) for each in series if not each["__name__"].startswith("promhttp_")})
        assert len(found[0]) > 300
        assert found[0] == found[1]
        theirs, ours = (ask(server.url, "/api/v1/targets", {}).data["activeTargets"] for server in pair)
        assert len(theirs) == len(ours) == 2
        for one, other in zip(theirs, ours):
            assert one.keys() == other.keys()
            # By these, relabelling may change how one target is scraped; Tripod has them for a job as a whole.
            for name in ("always_scrape_classic_histograms", "convert_classic_histograms_to_nhcb", "scrape_native_histograms"):
                one["discoveredLabels"].pop(f"__{name}__")
            for key in ("discoveredLabels", "labels", "scrapePool", "scrapeUrl", "lastError", "health", "scrapeInterval", "scrapeTimeout"):
                assert one[key] == other[key], key
    finally:
        pair.stop()
