"""The OpenTelemetry Collector's own exporter writes the same to both."""

import json
import os

import requests

from answers import ask, compare
from servers import Pair, Process, free_port, until
from test_otlp import START, request

COLLECTOR = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}}}
exporters:
  prometheusremotewrite/theirs: {{endpoint: '{theirs}/api/v1/write', resource_to_telemetry_conversion: {{enabled: true}}}}
  prometheusremotewrite/ours: {{endpoint: '{ours}/api/v1/write', resource_to_telemetry_conversion: {{enabled: true}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite/theirs, prometheusremotewrite/ours]}}}}
"""


def test_the_collector_writes_the_same(tmp_path):
    binary = os.environ["TRIPOD_COLLECTOR"]
    pair = Pair(tmp_path, "storage: {tsdb: {out_of_order_time_window: 10000d}, exemplars: {max_exemplars: 1000}}\n")
    port, config = free_port(), tmp_path / "collector.yaml"
    config.write_text(COLLECTOR.format(port=port, theirs=pair.prometheus.url, ours=pair.tripod.url))
    collector = Process(tmp_path, binary, "--config", f"file:{config}")
    try:
        def post(body):
            headers = {"content-type": "application/json"}
            return requests.post(f"http://127.0.0.1:{port}/v1/metrics", data=body, headers=headers, timeout=30)

        until("the collector", lambda: post(b'{"resourceMetrics": []}').ok)
        for at, n in [(0, 1), (15_000, 2), (30_000, 3), (45_000, 1)]:
            answer = post(json.dumps(request(at, n, without_buckets=True)).encode())
            assert answer.ok, answer.text
        end = START / 1000 + 60
        samples = {"query": '{__name__=~".+"}[100s]', "time": end}

        def all_written(server):
            found = ask(server.url, "/api/v1/query", samples).data["result"]
            return len(found) > 20 and min(len(each.get("values", each.get("histograms"))) for each in found) == 4

        for server in pair:
            until("all samples", lambda: all_written(server))
        found = compare(*(ask(server.url, "/api/v1/query", samples) for server in pair))
        assert not found, f"{len(found)} differences, theirs and ours:\n" + "\n".join(found[:25])
    finally:
        collector.stop()
        pair.stop()
