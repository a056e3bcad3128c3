"""Reads both text forms with the parsers of Python's prometheus-client and compares what they hold."""

import sys
import time
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

# What changes from one run of the example to the next.
LIVE = ("process_", "tokio_", "tripod_self_")


def samples(families):
    found = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} is there twice"
            found[key] = sample
    return found


plain = samples(parse_prometheus(Path(sys.argv[1]).read_text()))
families = {family.name: family for family in parse_openmetrics(Path(sys.argv[2]).read_text())}
rich = samples(families.values())

# Since when a series counts is said in OpenMetrics alone.
created = {key: sample.value for key, sample in rich.items() if key[0].endswith("_created")}
rich = {key: sample for key, sample in rich.items() if key not in created}
assert plain.keys() == rich.keys(), plain.keys() ^ rich.keys()
for (name, labels), sample in rich.items():
    if name.endswith("_total") or name.endswith("_count"):
        since = created[name.removesuffix("_total").removesuffix("_count") + "_created", labels]
        assert 1.7e9 < since <= time.time() + 60, (name, since)
for key, sample in plain.items():
    assert sample.value == rich[key].value or key[0].startswith(LIVE), key

assert families["sixseven_commands"].type == "counter"
assert families["sixseven_api_latency_seconds"].unit == "seconds"
assert families["sixseven_api_latency_seconds"].documentation == 'API endpoint response times, "all" of them \\ always'
assert families["sixseven_build"].type == "info"
quoted = (("intent", 'a "quoted" \\ value'), ("status", "two\nlines ü"))
assert rich["sixseven_commands_total", quoted].value == 0.0000125
assert rich["sixseven_capped_total", (("otel_metric_overflow", "true"),)].value == 1

buckets = [sample for sample in rich.values() if sample.name == "sixseven_api_latency_seconds_bucket"]
with_exemplar = [sample for sample in buckets if sample.exemplar]
assert with_exemplar, "no bucket has an exemplar"
for sample in with_exemplar:
    assert sample.exemplar.labels == {"trace_id": "4b" * 16, "span_id": "f0" * 8}
    assert sample.exemplar.value <= float(sample.labels["le"])
counted = rich["sixseven_commands_total", (("intent", "research"), ("status", "created"))]
assert (counted.exemplar.labels["trace_id"], counted.exemplar.value) == ("4b" * 16, 1_234_567)
for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "tokio_alive_tasks"):
    assert (name, ()) in rich, f"{name} is missing"

print(f"{len(rich)} samples in {len(families)} families agree in both forms; {len(with_exemplar)} exemplars")
