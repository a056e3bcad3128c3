"""The official OTLP exporters, made to remember what they report as exported."""

from dataclasses import dataclass, field

from grpc import Compression as GrpcCompression
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans

from tripod_server import Server


@dataclass
class Exported:
    """What an exporter reported as exported, and how many of its calls failed."""

    batches: list = field(default_factory=list)
    failures: int = 0


def remembering(exporter_class, exported: Exported, **arguments):
    class Remembering(exporter_class):
        def export(self, batch, *positional, **named):
            result = super().export(batch, *positional, **named)
            if result.name == "SUCCESS":
                exported.batches.append(batch)
            else:
                exported.failures += 1
            return result

    return Remembering(**arguments)


@dataclass(frozen=True)
class Transport:
    """A way to send."""

    protocol: str
    gzip: bool

    def __str__(self):
        return self.protocol + ("-gzip" if self.gzip else "")

    def _exporter(self, server: Server, exported: Exported, grpc_class, http_class, path: str):
        if self.protocol == "grpc":
            compression = GrpcCompression.Gzip if self.gzip else GrpcCompression.NoCompression
            return remembering(
                grpc_class, exported, endpoint=server.otlp_grpc, insecure=True, compression=compression
            )
        compression = HttpCompression.Gzip if self.gzip else HttpCompression.NoCompression
        return remembering(http_class, exported, endpoint=server.otlp_http + path, compression=compression)

    def spans(self, server: Server, exported: Exported):
        return self._exporter(server, exported, GrpcSpans, HttpSpans, "/v1/traces")

    def logs(self, server: Server, exported: Exported):
        return self._exporter(server, exported, GrpcLogs, HttpLogs, "/v1/logs")

    def metrics(self, server: Server, exported: Exported):
        return self._exporter(server, exported, GrpcMetrics, HttpMetrics, "/v1/metrics")


TRANSPORTS = [Transport(protocol, gzip) for protocol in ("grpc", "http") for gzip in (False, True)]
