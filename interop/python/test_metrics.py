import math

from exporters import Exported
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.export import ExponentialHistogram as ExponentialHistogramData
from opentelemetry.sdk.metrics.export import Gauge as GaugeData
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import Sum as SumData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider
from tripod_server import nanos
from values import same_attributes, same_context, same_id, same_json

TEMPORALITIES = {AggregationTemporality.DELTA: "delta", AggregationTemporality.CUMULATIVE: "cumulative"}


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


def check_exemplars(point, row, what):
    found = row["exemplars"] or []
    assert len(found) == len(point.exemplars), what
    for sent, stored in zip(point.exemplars, found, strict=True):
        assert nanos(stored["time"]) == sent.time_unix_nano, what
        check_number(sent.value, stored, what)
        same_id(sent.trace_id, stored["trace_id"], 32, what)
        same_id(sent.span_id, stored["span_id"], 16, what)
        same_json(sent.filtered_attributes, stored["attributes"], what)


def check_number(value, row, what):
    if isinstance(value, int):
        assert (row["value_int"], row["value_double"]) == (value, None), what
    else:
        assert (row["value_int"], row["value_double"]) == (None, value), what


def check_point(metric, point, row):
    what = f"{metric.name} {dict(point.attributes or {})}"
    data = metric.data
    assert nanos(row["time"]) == point.time_unix_nano, what
    start = point.start_time_unix_nano
    assert nanos(row["start_time"]) == (start or None), what
    assert row["unit"] == (metric.unit or None), what
    assert row["description"] == (metric.description or None), what
    assert row["temporality"] == TEMPORALITIES.get(getattr(data, "aggregation_temporality", None), "unspecified"), what
    assert row["is_monotonic"] == getattr(data, "is_monotonic", False), what
    assert row["flags"] == 0, what
    check_exemplars(point, row, what)
    match data:
        case GaugeData():
            assert row["kind"] == "gauge", what
            check_number(point.value, row, what)
        case SumData():
            assert row["kind"] == "sum", what
            check_number(point.value, row, what)
        case HistogramData():
            assert row["kind"] == "histogram", what
            assert row["explicit_bounds"] == list(point.explicit_bounds), what
            assert row["bucket_counts"] == list(point.bucket_counts), what
        case ExponentialHistogramData():
            assert row["kind"] == "exponential_histogram", what
            assert row["scale"] == point.scale, what
            assert row["zero_count"] == point.zero_count, what
            assert (row["zero_threshold"] or 0.0) == 0.0, what
            for side in ("positive", "negative"):
                buckets = getattr(point, side)
                assert (row[f"{side}_offset"] or 0) == buckets.offset, what
                assert (row[f"{side}_counts"] or []) == list(buckets.bucket_counts), what
    if isinstance(data, (HistogramData, ExponentialHistogramData)):
        assert row["count"] == point.count, what
        assert math.isclose(row["sum"], point.sum, rel_tol=0), what
        assert (row["min"], row["max"]) == (point.min, point.max), what


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
    meter = provider.get_meter(
        "interop.meter", "0.9.1", "https://opentelemetry.io/schemas/1.21.0", {"scope.attribute": True}
    )
    record_golden_metrics(meter)
    assert provider.force_flush(60_000)
    record_golden_metrics(provider.get_meter("bare"))
    assert provider.force_flush(60_000)
    provider.shutdown()
    assert exported.failures == 0
    return exported.batches


def check(server, service, batches):
    rows = server.query(f"select * from metrics where service_name = '{service}'")
    index = {}
    for row in rows:
        index.setdefault((row["name"], nanos(row["time"]), row["scope_name"], row["attributes"]), []).append(row)
    points = 0
    kinds = set()
    exemplars = 0
    for batch in batches:
        for resource_metrics in batch.resource_metrics:
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    for point in metric.data.data_points:
                        points += 1
                        row = find(index, metric, point, scope_metrics.scope)
                        check_point(metric, point, row)
                        same_context(scope_metrics.scope, resource_metrics.resource, row, metric.name)
                        kinds.add(row["kind"])
                        exemplars += len(point.exemplars)
    assert points == len(rows)
    assert kinds == {"gauge", "sum", "histogram", "exponential_histogram"}
    assert exemplars > 5


def find(index, metric, point, scope):
    for (name, time, scope_name, _), rows in index.items():
        if (name, time, scope_name) != (metric.name, point.time_unix_nano, scope.name):
            continue
        for row in rows:
            try:
                same_attributes(point.attributes, row, "attributes", metric.name)
            except AssertionError:
                continue
            return row
    raise AssertionError(f"{metric.name} {dict(point.attributes or {})} is not found")


def test_golden_points_field_by_field(server, transport, service, resource):
    check(server, service, run(server, transport, resource))


def test_delta_points_field_by_field(server, transport, service, resource):
    delta = AggregationTemporality.DELTA
    batches = run(server, transport, resource, {Counter: delta, Histogram: delta})
    check(server, service, batches)
    temporalities = server.query(f"select distinct temporality from metrics where service_name = '{service}'")
    assert {row["temporality"] for row in temporalities} == {"delta", "cumulative", "unspecified"}
