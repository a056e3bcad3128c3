import json
import logging

from exporters import Exported
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from test_spans import ATTRIBUTES
from tripod_server import nanos
from values import same, same_attributes, same_context, same_id

BODIES = [
    "a message with ünïcödé ☃ and \n",
    "",
    42,
    2.0,
    float("nan"),
    True,
    None,
    b"\x00\xff",
    ["a", 1, 2.5, None],
    {"event": "order", "items": [{"id": 1}, {"id": 2}], "total": 9.5},
]


def make_golden_records(logger):
    for number, body in enumerate(BODIES):
        logger.emit(
            timestamp=1_700_000_000_000_000_000 + number,
            observed_timestamp=1_700_000_000_000_000_500 + number,
            severity_number=SeverityNumber.INFO2,
            severity_text="Information",
            body=body,
            attributes={**ATTRIBUTES, "number": number},
        )
    for severity in SeverityNumber:
        logger.emit(severity_number=severity, severity_text=severity.name, body=f"severity {severity.name}")
    logger.emit(event_name="order.placed", body={"order": 7}, attributes={"event": "order_placed", "logger": "app"})
    logger.emit(observed_timestamp=1_700_000_000_000_000_001, body="when it happened is not said")
    tracer = TracerProvider().get_tracer("context")
    with tracer.start_as_current_span("a span"):
        logger.emit(body="within a span", attributes={"request_id": "r-1", "session_id": "s-1", "user_id": "u-1"})
        try:
            raise ValueError("no such thing")
        except ValueError as error:
            logger.emit(body="with an exception", exception=error)


def check_record(data, row):
    record = data.log_record
    what = repr(record.body)
    sent_time, observed = record.timestamp or 0, record.observed_timestamp or 0
    # Null says that `time` is what was sent.
    assert row["time_unix_nano"] == (None if sent_time else 0), what
    assert nanos(row["time"]) == (sent_time or observed), what
    assert nanos(row["observed_time"]) == observed, what
    assert row["severity_number"] == (record.severity_number.value if record.severity_number else 0), what
    assert row["severity_text"] == (record.severity_text or None), what
    if record.body is None:
        assert (row["body"], row["body_type"]) == (None, "empty"), what
    elif isinstance(record.body, str):
        assert (row["body"] or "", row["body_type"]) == (record.body, "string"), what
    else:
        assert row["body_type"] == "json", what
        same(record.body, json.loads(row["body"]), what)
    assert row["event_name"] == (record.event_name or None), what
    same_id(record.trace_id, row["trace_id"], 32, what)
    same_id(record.span_id, row["span_id"], 16, what)
    assert row["flags"] == int(record.trace_flags or 0), what
    same_attributes(record.attributes, row, "attributes", what)
    assert row["dropped_attributes_count"] == data.dropped_attributes, what
    same_context(data.instrumentation_scope, data.resource, row, what)


def test_golden_records_field_by_field(server, transport, service, resource):
    exported = Exported()
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(SimpleLogRecordProcessor(transport.logs(server, exported)))
    make_golden_records(
        provider.get_logger(
            "interop.logger", "0.9.1", "https://opentelemetry.io/schemas/1.21.0", {"scope.attribute": "x"}
        )
    )
    provider.shutdown()

    assert exported.failures == 0
    records = [data for batch in exported.batches for data in batch]
    assert len(records) == len(BODIES) + len(SeverityNumber) + 4
    rows = server.query(f"select * from logs where service_name = '{service}'")
    assert len(rows) == len(records)
    # No two have the same observed time: the golden ones by their numbers, the others by the clock.
    by_time = {nanos(row["observed_time"]): row for row in rows}
    assert len(by_time) == len(rows)
    for data in records:
        check_record(data, by_time[data.log_record.observed_timestamp])


def test_the_logging_module_is_kept(server, transport, service, resource):
    exported = Exported()
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(transport.logs(server, exported)))
    logger = logging.Logger("shop.orders", logging.DEBUG)
    logger.addHandler(LoggingHandler(logger_provider=provider))
    tracer = TracerProvider().get_tracer("context")
    with tracer.start_as_current_span("a span"):
        context = trace.get_current_span().get_span_context()
        for number in range(2_500):
            logger.info("order %d accepted", number, extra={"request_id": f"r-{number}", "number": number})
        try:
            raise ValueError("no such article")
        except ValueError:
            logger.exception("order failed")
    assert provider.force_flush(60_000)
    provider.shutdown()

    assert exported.failures == 0
    rows = server.query(f"select * from logs where service_name = '{service}'")
    assert len(rows) == sum(map(len, exported.batches)) == 2_501
    orders = {row["body"]: row for row in rows}
    for number in range(2_500):
        row = orders[f"order {number} accepted"]
        assert row["request_id"] == f"r-{number}"
        assert json.loads(row["attributes"])["number"] == number
        assert row["trace_id"] == format(context.trace_id, "032x")
    failed = orders["order failed"]
    assert failed["severity_number"] == SeverityNumber.ERROR.value
    assert failed["exception_type"] == "ValueError"
    assert failed["exception_message"] == "no such article"
    assert "Traceback" in failed["exception_stacktrace"]
