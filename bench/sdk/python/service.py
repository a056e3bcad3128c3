"""The service of the measurement in Python: FastAPI, structlog, opentelemetry and prometheus_client.

`service.py PORT` serves with telemetry, `service.py PORT --bare` the handler alone. What is exported where, and the
sampling, is said by the environment variables of OpenTelemetry.
"""

import asyncio
import logging
import sys
import time
import uuid

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

BARE = "--bare" in sys.argv

app = FastAPI()


class Command(BaseModel):
    text: str


class Silent:
    """In place of tracer and logger: what is left is the handler's own work."""

    def start_as_current_span(self, name, **_):
        return self

    def info(self, event, **_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


if BARE:
    tracer = logger = Silent()

    @app.get("/metrics")
    def metrics():
        return Response()

    @app.get("/flush")
    def flush():
        return Response()

else:
    import structlog
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

    def add_trace(_logger, _method, event):
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = format(context.trace_id, "032x")
            event["span_id"] = format(context.span_id, "016x")
        return event

    logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            add_trace,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logger = structlog.get_logger("app.main")

    provider = TracerProvider(resource=Resource.create({"service.name": "bench"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(insecure=True)))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("app.main")

    LABELS = ["endpoint", "method", "status_code"]
    requests_total = Counter("http_requests_total", "Requests that were answered", LABELS)
    duration = Histogram("http_request_duration_seconds", "Time to answer", LABELS)
    in_flight = Gauge("http_requests_in_flight", "Requests that are being answered", ["method"])

    @app.middleware("http")
    async def observe(request: Request, call_next):
        if request.url.path != "/command":
            return await call_next(request)
        structlog.contextvars.clear_contextvars()
        request_id = request.headers.get("X-Request-ID") or str(uuid.uuid4())
        structlog.contextvars.bind_contextvars(request_id=request_id, correlation_id=request_id)
        in_flight.labels(request.method).inc()
        started = time.perf_counter()
        response = await call_next(request)
        took = time.perf_counter() - started
        in_flight.labels(request.method).dec()
        labels = (request.url.path, request.method, str(response.status_code))
        requests_total.labels(*labels).inc()
        duration.labels(*labels).observe(took)
        logger.info(
            "request_completed",
            method=request.method,
            path=request.url.path,
            endpoint=request.url.path,
            status_code=response.status_code,
            duration_ms=round(took * 1e3, 2),
        )
        response.headers["X-Request-ID"] = request_id
        return response

    @app.get("/metrics")
    def metrics():
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/flush")
    def flush():
        return Response(str(provider.force_flush()))

    # Three spans a request, as everywhere: without those of the parts of the ASGI exchange.
    FastAPIInstrumentor.instrument_app(app, excluded_urls="metrics,flush", exclude_spans=["receive", "send"])


@app.post("/command")
async def command(command: Command):
    logger.info("command_received", command=command.text, has_image=False, session_id="abc-123")
    attributes = {"command.text": command.text, "command.has_image": False}
    with tracer.start_as_current_span("parse_intent", attributes=attributes):
        intent = "research" if command.text.startswith("research") else "creative"
        logger.info("intent_parsed", intent=intent, confidence=0.93)
    attributes = {"job.type": intent, "response.job_id": "job-42"}
    with tracer.start_as_current_span("create_job", attributes=attributes):
        await asyncio.sleep(0)
        logger.info("job_created", job_id="job-42", provider="yutori", attempt=1)
    logger.info("command_handled", intent=intent, job_id="job-42", status="accepted")
    return {"intent": intent, "job_id": "job-42"}


if __name__ == "__main__":
    # A connection that waits while the machine is busy must not be closed under the load.
    options = {"log_level": "warning", "access_log": False, "timeout_keep_alive": 75}
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), **options)
