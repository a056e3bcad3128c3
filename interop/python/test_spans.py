from concurrent.futures import ThreadPoolExecutor

from exporters import Exported
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from tripod_server import nanos
from values import same_attributes, same_context, same_id, same_json

ATTRIBUTES = {
    "text": 'quotes " and \\ and \n and ünïcödé ☃ \U0001f980',
    "empty": "",
    "int": 42,
    "int.min": -(2**63),
    "int.max": 2**63 - 1,
    "float": 3.5,
    "float.whole": 2.0,
    "float.tiny": 5e-324,
    "float.nan": float("nan"),
    "float.inf": float("-inf"),
    "yes": True,
    "no": False,
    "texts": ["a", "", "ç"],
    "ints": [1, -2, 3],
    "floats": [1.0, 2.5],
    "bools": [True, False],
    "none.of": [],
    "bytes": b"\x00\xff\x10",
    "nested": {"a": 1, "b": {"c": [1.5, "x", None, {"$d": True}]}},
    "$dollar": "key",
    # Well-known ones, which have columns of their own.
    "http.request.method": "GET",
    "http.response.status_code": 503,
    "http.route": "/things/{id}",
    "db.query.text": "select 1",
    "gen_ai.usage.input_tokens": 12,
    "request_id": "r-1",
    # A well-known one with an unusual type must not be lost.
    "user_id": 77,
}


def make_golden_spans(tracer):
    for kind in SpanKind:
        with tracer.start_as_current_span(f"kind {kind.name}", kind=kind, attributes=ATTRIBUTES):
            pass
    remote = SpanContext(
        trace_id=0x0102030405060708090A0B0C0D0E0F10,
        span_id=0x1112131415161718,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState([("vendor", "value"), ("other", "x:y")]),
    )
    parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    with tracer.start_as_current_span("with parent and trace state", context=parent) as span:
        span.add_event("plain event")
        span.add_event("event with attributes", attributes=ATTRIBUTES, timestamp=1_700_000_000_123_456_789)
        span.set_status(Status(StatusCode.OK))
        with tracer.start_as_current_span("child") as child:
            child.record_exception(ValueError("no such thing"))
            child.set_status(Status(StatusCode.ERROR, "it went wrong: ☃"))
    links = [Link(remote, ATTRIBUTES), Link(span.get_span_context())]
    with tracer.start_as_current_span("with links", links=links):
        pass
    tracer.start_span("without duration", start_time=1_600_000_000_000_000_001).end(1_600_000_000_000_000_001)
    tracer.start_span("unknown to the clock", start_time=1).end(2)


def make_spans_beyond_limits(tracer):
    attributes = {f"a{number}": number for number in range(5)}
    with tracer.start_as_current_span("beyond limits", attributes=attributes) as span:
        for number in range(4):
            span.add_event(f"event {number}", attributes)


def check_span(span, row):
    name = span.name
    context = span.get_span_context()
    same_id(context.trace_id, row["trace_id"], 32, name)
    same_id(context.span_id, row["span_id"], 16, name)
    same_id(span.parent.span_id if span.parent else None, row["parent_span_id"], 16, name)
    assert row["trace_state"] == (context.trace_state.to_header() or None), name
    # The Python exporter sends bit 8, "it is known whether the parent is remote", and bit 9, "it is", but no W3C flags.
    assert row["flags"] == (0x300 if span.parent and span.parent.is_remote else 0x100), name
    assert nanos(row["start_time"]) == span.start_time, name
    assert row["duration_ns"] == span.end_time - span.start_time, name
    assert row["kind"] == span.kind.name.lower(), name
    assert row["status_code"] == span.status.status_code.name.lower(), name
    assert row["status_message"] == (span.status.description or None), name
    same_attributes(span.attributes, row, "attributes", name)
    assert row["dropped_attributes_count"] == span.dropped_attributes, name
    assert row["dropped_events_count"] == span.dropped_events, name
    assert row["dropped_links_count"] == span.dropped_links, name
    same_context(span.instrumentation_scope, span.resource, row, name)
    events = row["events"] or []
    assert [event["name"] for event in events] == [event.name for event in span.events], name
    for sent, found in zip(span.events, events, strict=True):
        assert nanos(found["time"]) == sent.timestamp, name
        same_json(sent.attributes, found["attributes"], f"{name}: {sent.name}")
        assert found["dropped_attributes_count"] == sent.dropped_attributes, name
    for sent, found in zip(span.links, row["links"] or [], strict=True):
        same_id(sent.context.trace_id, found["trace_id"], 32, name)
        same_id(sent.context.span_id, found["span_id"], 16, name)
        # The Python exporter does not send a link's trace state, so there is nothing to compare.
        same_json(sent.attributes, found["attributes"], f"{name}: link")
        assert found["dropped_attributes_count"] == sent.dropped_attributes, name


def test_golden_spans_field_by_field(server, transport, service, resource):
    exported = Exported()
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(transport.spans(server, exported)))
    make_golden_spans(
        provider.get_tracer(
            "interop.tracer", "0.9.1", "https://opentelemetry.io/schemas/1.21.0", {"scope.attribute": [1, 2]}
        )
    )
    make_golden_spans(provider.get_tracer("bare"))
    limits = SpanLimits(max_span_attributes=3, max_events=2, max_event_attributes=1)
    limited = TracerProvider(resource=resource, span_limits=limits)
    limited.add_span_processor(SimpleSpanProcessor(transport.spans(server, exported)))
    make_spans_beyond_limits(limited.get_tracer("limited"))
    provider.shutdown()
    limited.shutdown()

    assert exported.failures == 0
    spans = [span for batch in exported.batches for span in batch]
    rows = {row["span_id"]: row for row in server.query(f"select * from spans where service_name = '{service}'")}
    assert len(rows) == len(spans) == 2 * (len(SpanKind) + 5) + 1
    for span in spans:
        check_span(span, rows[format(span.get_span_context().span_id, "016x")])


def test_every_span_of_a_volume_is_found(server, transport, service, resource):
    """Every span that the SDK reports as exported, and no other, is there once."""
    exported = Exported()
    provider = TracerProvider(resource=resource)
    processor = BatchSpanProcessor(
        transport.spans(server, exported), max_queue_size=40_000, max_export_batch_size=512
    )
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("volume")

    def work(worker: int):
        for number in range(1_250):
            with tracer.start_as_current_span(f"job {number}", attributes={"worker": worker, "number": number}):
                with tracer.start_as_current_span("step"):
                    pass

    # 4 × 1,250 × 2 spans over each of two transports of a protocol: 20,000 a protocol.
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert provider.force_flush(120_000)
    provider.shutdown()

    assert exported.failures == 0
    sent = [format(span.get_span_context().span_id, "016x") for batch in exported.batches for span in batch]
    assert len(sent) == 10_000
    found = [row["span_id"] for row in server.query(f"select span_id from spans where service_name = '{service}'")]
    assert sorted(found) == sorted(sent)
