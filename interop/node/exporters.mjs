// The official OTLP exporters, made to remember what they report as exported.

import { OTLPLogExporter as GrpcLogs } from '@opentelemetry/exporter-logs-otlp-grpc';
import { OTLPLogExporter as JsonLogs } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtoLogs } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter as GrpcMetrics } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as JsonMetrics } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtoMetrics } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter as GrpcSpans } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonSpans } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoSpans } from '@opentelemetry/exporter-trace-otlp-proto';

const CLASSES = {
  spans: { path: '/v1/traces', grpc: GrpcSpans, json: JsonSpans, protobuf: ProtoSpans },
  logs: { path: '/v1/logs', grpc: GrpcLogs, json: JsonLogs, protobuf: ProtoLogs },
  metrics: { path: '/v1/metrics', grpc: GrpcMetrics, json: JsonMetrics, protobuf: ProtoMetrics },
};

export const TRANSPORTS = ['grpc', 'json', 'protobuf'].flatMap((protocol) =>
  [false, true].map((gzip) => ({ protocol, gzip, name: gzip ? `${protocol}, gzip` : protocol })),
);

/** An exporter of the signal whose `exported` holds what succeeded and whose `failures` holds what did not. */
export function rememberingExporter(server, signal, { protocol, gzip }) {
  const { path, [protocol]: Exporter } = CLASSES[signal];
  const exporter = new Exporter({
    url: protocol === 'grpc' ? server.otlpGrpc : server.otlpHttp + path,
    compression: gzip ? 'gzip' : 'none',
  });
  const original = exporter.export.bind(exporter);
  exporter.exported = [];
  exporter.failures = [];
  exporter.export = (items, done) =>
    original(items, (result) => {
      if (result.code === 0) exporter.exported.push(items);
      else exporter.failures.push(result.error);
      done(result);
    });
  return exporter;
}
