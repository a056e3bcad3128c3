"""Points of the official SDK become series: names, labels and values of the compatibility specification,
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/."""

import json
import math
from collections import defaultdict

import requests
from exporters import Exported
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.export import ExponentialHistogram as ExponentialHistogramData
from opentelemetry.sdk.metrics.export import Gauge as GaugeData
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import Sum as SumData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from tripod_server import nanos

# The names of the instruments below as series: units are spelled out, counters end in _total.
NAMES = {
    "process.cpu": "process_cpu_ratio",
    "process.threads": "process_threads",
    "process.page_faults": "process_page_faults_total",
    "requests": "requests_total",
    "bytes.sent": "bytes_sent_total",
    "queue.length": "queue_length",
    "temperature": "temperature_celsius",
    "request.duration": "request_duration_seconds",
    "exponential.duration": "exponential_duration_seconds",
}
TYPES = {GaugeData: "gauge", HistogramData: "histogram", ExponentialHistogramData: "histogram"}


def record_golden_metrics(meter):
    def cpu(_: CallbackOptions):
        yield Observation(0.25, {"cpu": 0, "mode": "user"})
        yield Observation(0.5, {"cpu": 1, "mode": "user"})

    def threads(_: CallbackOptions):
        yield Observation(12)

    def page_faults(_: CallbackOptions):
        yield Observation(1_000_000_007, {"kind": "major"})

    meter.create_observable_gauge("process.cpu", [cpu], "1", "CPU use")
    meter.create_observable_up_down_counter("process.threads", [threads], "{thread}")
    meter.create_observable_counter("process.page_faults", [page_faults])
    counter = meter.create_counter("requests", "{request}", "Requests with ünïcödé")
    floats = meter.create_counter("bytes.sent", "By")
    updown = meter.create_up_down_counter("queue.length")
    gauge = meter.create_gauge("temperature", "Cel")
    histogram = meter.create_histogram("request.duration", "s", "How long")
    exponential = meter.create_histogram("exponential.duration", "s")
    # Exemplars carry the span in which they were measured.
    with TracerProvider().get_tracer("context").start_as_current_span("a span"):
        counter.add(3, {"route": "/a", "status": 200})
        counter.add(4, {"route": "/b", "status": 500, "list": ["x", "y"]})
        floats.add(1.5)
        floats.add(2.0, {"direction": "out"})
        updown.add(5)
        updown.add(-8)
        gauge.set(-3.5, {"room": "cellar"})
        gauge.set(21)
        for value in (0.001, 0.02, 0.3, 4, 50, 12345.678):
            histogram.record(value, {"route": "/a"})
        for value in (0.0, 0.001, 0.02, 0.3, 4, 50, 12345.678):
            exponential.record(value, {"route": "/a"})


def run(server, transport, resource, preferred_temporality=None):
    exported = Exported()
    exporter = transport.metrics(server, exported)
    if preferred_temporality:
        exporter._preferred_temporality.update(preferred_temporality)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)
    provider = MeterProvider(
        [reader],
        resource,
        exemplar_filter=AlwaysOnExemplarFilter(),
        views=[
            View(
                instrument_name="exponential.duration",
                aggregation=ExponentialBucketHistogramAggregation(max_size=20),
                attribute_keys={"route"},
            ),
            # What a view removes from the series is kept with its exemplars.
            View(instrument_name="requests", attribute_keys={"route", "list"}),
        ],
    )
    meter = provider.get_meter("interop.meter", "0.9.1", "https://opentelemetry.io/schemas/1.21.0")
    record_golden_metrics(meter)
    assert provider.force_flush(60_000)
    record_golden_metrics(meter)
    assert provider.force_flush(60_000)
    provider.shutdown()
    assert exported.failures == 0
    return exported.batches


def text(value) -> str:
    """An attribute's value as a label's."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def bound(value: float) -> str:
    return f"{value:g}"


class Expected:
    """The samples that points must become. What is sent as differences is added up."""

    def __init__(self, target: dict):
        self.target = target
        self.samples = {}
        self.native = {}
        self.sums = defaultdict(float)
        self.exemplars = set()

    def sample(self, point, name, value, is_delta, **labels):
        labels = {key.replace(".", "_"): text(given) for key, given in (point.attributes or {}).items()} | labels
        series = (name, tuple(sorted((self.target | labels).items())))
        if is_delta:
            self.sums[series] += value
            value = self.sums[series]
        self.samples[series, point.time_unix_nano // 1_000_000] = value

    def point(self, metric, point):
        name, data = NAMES[metric.name], metric.data
        is_delta = getattr(data, "aggregation_temporality", None) == AggregationTemporality.DELTA
        self.exemplars |= {(name, f"{given.trace_id:032x}") for given in point.exemplars if given.trace_id}
        match data:
            case GaugeData() | SumData():
                self.sample(point, name, point.value, is_delta)
            case HistogramData():
                self.sample(point, f"{name}_count", point.count, is_delta)
                self.sample(point, f"{name}_sum", point.sum, is_delta)
                below = 0
                for upper, count in zip([*point.explicit_bounds, math.inf], point.bucket_counts, strict=True):
                    below += count
                    le = "+Inf" if upper == math.inf else bound(upper)
                    self.sample(point, f"{name}_bucket", below, is_delta, le=le)
            case ExponentialHistogramData():
                labels = self.target | {key: text(given) for key, given in point.attributes.items()}
                series = (name, tuple(sorted(labels.items())))
                self.native[series, point.time_unix_nano // 1_000_000] = (point.count, point.sum, point)


def check(server, service, batches):
    target = {"job": f"interop/{service}", "instance": "instance-1"}
    expected = Expected(target)
    metrics = {}
    for batch in batches:
        for resource_metrics in batch.resource_metrics:
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    metrics[metric.name] = metric
                    for point in metric.data.data_points:
                        expected.point(metric, point)
    assert metrics.keys() == NAMES.keys()

    selector = f'{{job="interop/{service}"}}'
    rows = server.query(f"select * from points('{selector}') where name <> 'target_info'")
    floats, native = {}, {}
    for row in rows:
        series = (row["name"], tuple(sorted(json.loads(row["labels"]).items())))
        key = (series, nanos(row["time"]) // 1_000_000)
        assert key not in floats and key not in native
        if row["histogram"] is None:
            floats[key] = row["value"]
        else:
            native[key] = json.loads(row["histogram"])
    assert floats.keys() == expected.samples.keys()
    for key, value in expected.samples.items():
        assert math.isclose(floats[key], value, rel_tol=1e-12), key
    assert native.keys() == expected.native.keys() and native
    for key, (count, total, point) in expected.native.items():
        found = native[key]
        assert (float(found["count"]), float(found["sum"])) == (count, total)
        # The zero bucket is one more, from -threshold to threshold.
        filled = [int(float(bucket[3])) for bucket in found["buckets"] if float(bucket[1]) > 0]
        assert filled == [count for count in point.positive.bucket_counts if count]
        base = 2 ** (2**-point.scale)
        first = point.positive.offset + next(i for i, n in enumerate(point.positive.bucket_counts) if n)
        lower = min(float(bucket[1]) for bucket in found["buckets"] if float(bucket[1]) > 0)
        assert math.isclose(lower, base**first, rel_tol=1e-9)
    check_described(server, service, metrics)
    check_exemplars(server, selector, expected.exemplars)


def check_described(server, service, metrics):
    """Types, units, texts, and what the target is."""
    found = {row["name"]: row for row in server.query("select distinct name, type, unit, help from series")}
    for name, metric in metrics.items():
        kind = TYPES.get(type(metric.data)) or ("counter" if metric.data.is_monotonic else "gauge")
        series = NAMES[name] + ("_count" if isinstance(metric.data, HistogramData) else "")
        assert (found[series]["type"], found[series]["help"]) == (kind, metric.description or None), name
    (info,) = server.query(f"select distinct labels from points('target_info{{job=\"interop/{service}\"}}')")
    labels = json.loads(info["labels"])
    assert labels["host_name"] == "höst ☃" and labels["ports"] == "[1,2,3]" and labels["is_test"] == "true"


def check_exemplars(server, selector, sent):
    """The last exemplars of a series are kept with the span in which they were measured."""
    answer = requests.get(
        f"{server.front_door}/prometheus/api/v1/query_exemplars",
        params={"query": selector, "start": 0, "end": 4_000_000_000},
        timeout=30,
    ).json()
    assert answer["status"] == "success", answer
    found = set()
    for series in answer["data"]:
        name = series["seriesLabels"]["__name__"].removesuffix("_bucket")
        labels = [exemplar["labels"] for exemplar in series["exemplars"]]
        found |= {(name, known["trace_id"]) for known in labels if "trace_id" in known}
    assert found and found <= sent, (found, sent)
    assert {name for name, _ in found} >= {"requests_total", "request_duration_seconds"}, found


def test_golden_points_sample_by_sample(server, transport, service, resource):
    check(server, service, run(server, transport, resource))


def test_differences_are_added_up(server, transport, service, resource):
    delta = AggregationTemporality.DELTA
    check(server, service, run(server, transport, resource, {Counter: delta}))
    # Exponential histograms of two exports may have two scales; their sums are Tripod's own arithmetic.
    batches = run(server, transport, resource.merge(Resource({"service.instance.id": "instance-2"})), {Histogram: delta})
    counts = [
        point.count
        for batch in batches
        for scope in batch.resource_metrics[0].scope_metrics
        for metric in scope.metrics
        if isinstance(metric.data, ExponentialHistogramData)
        for point in metric.data.data_points
    ]
    found = server.query(
        "select histogram->>'count' as count from points('exponential_duration_seconds"
        f'{{instance="instance-2",job="interop/{service}"}}\') order by time'
    )
    assert [float(row["count"]) for row in found] == [counts[0], sum(counts)]
