"""The tables on disk are open: another implementation of Delta Lake reads the same rows."""

import json

import pytest
from deltalake import DeltaTable
from exporters import Exported, Transport
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from test_logs import make_golden_records
from test_spans import make_golden_spans
from tripod_server import Server, nanos

TIMES = {"time", "start_time", "observed_time"}


def comparable(value, name: str = ""):
    """Times are integers of nanoseconds in files and text in SQL; all else is the same."""
    if name in TIMES and isinstance(value, str):
        return nanos(value)
    if isinstance(value, dict):
        return {key: comparable(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    return str(value) if isinstance(value, float) else value


def sorted_rows(rows):
    return sorted(json.dumps(comparable(row), sort_keys=True) for row in rows)


@pytest.fixture(scope="module")
def flushed(tmp_path_factory):
    """A data directory of a server that was stopped, and what SQL said before."""
    # Flushes and compactions all the time, so that the tables have a history.
    server = Server(
        tmp_path_factory.mktemp("delta") / "data",
        store__flush__rows=500,
        store__flush__interval_seconds=1,
        store__compaction__interval_seconds=1,
        store__compaction__min_files=3,
    )
    resource = Resource({"service.name": "delta", "list": [1, 2]})
    transport = Transport("grpc", False)
    exported = Exported()
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(BatchSpanProcessor(transport.spans(server, exported), max_queue_size=20_000))
    tracer = tracing.get_tracer("delta")
    for _ in range(20):
        make_golden_spans(tracer)
        for number in range(300):
            tracer.start_span(f"span {number}", attributes={"number": number, "http.route": "/x"}).end()
        assert tracing.force_flush(60_000)
    tracing.shutdown()
    logging = LoggerProvider(resource=resource)
    logging.add_log_record_processor(SimpleLogRecordProcessor(transport.logs(server, exported)))
    for _ in range(20):
        make_golden_records(logging.get_logger("delta"))
    logging.shutdown()
    assert exported.failures == 0
    before = {table: server.query(f"select * from {table}") for table in ("spans", "logs")}
    server.stop()
    return server.data_dir, before


@pytest.mark.parametrize("table", ["spans", "logs"])
def test_delta_lake_reads_what_sql_answered(flushed, table):
    data_dir, before = flushed
    delta = DeltaTable(data_dir / "tables" / table)
    found = delta.to_pyarrow_table().to_pylist()
    days = {row.pop("date") for row in found}
    assert days and all(days), "every row belongs to a day"
    assert len(before[table]) >= 200
    assert len(found) == len(before[table])
    assert sorted_rows(found) == sorted_rows(before[table])


def test_the_tables_have_a_history(flushed):
    data_dir, _ = flushed
    assert DeltaTable(data_dir / "tables" / "spans").version() > 3
