// The official SDK of Node over every transport: what it reports as exported is found again, field by field.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, createTraceState, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import {
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

import { hrNanos, sameAttributes, sameContext, sameJson, storedForm } from './compare.mjs';
import { TRANSPORTS, rememberingExporter } from './exporters.mjs';
import { Server, nanos } from './server.mjs';

const VOLUME = 3_500;

const ATTRIBUTES = {
  text: 'quotes " and \\ and \n and ünïcödé ☃ 🦀',
  empty: '',
  int: 42,
  negative: -7,
  'int.safe': Number.MAX_SAFE_INTEGER,
  float: 3.5,
  yes: true,
  no: false,
  texts: ['a', '', 'ç'],
  numbers: [1, 2.5],
  bools: [true, false],
  // Well-known ones, which have columns of their own.
  'http.request.method': 'GET',
  'http.response.status_code': 503,
  'gen_ai.usage.input_tokens': 12,
  request_id: 'r-1',
  // A well-known one with an unusual type must not be lost.
  user_id: 77,
};

const KINDS = Object.keys(SpanKind).filter((name) => Number.isNaN(Number(name)));

/** The kinds and codes in the words of the tables. */
const kindName = (kind) => SpanKind[kind].toLowerCase();
const codeName = (code) => SpanStatusCode[code].toLowerCase();

let server;
before(async () => {
  server = await Server.start();
});
after(async () => {
  assert.equal(await server.stop(), 0, 'the server stops with 0');
});

function newResource() {
  const service = `interop-node-${randomUUID()}`;
  const resource = resourceFromAttributes({
    'service.name': service,
    'service.version': '1.2.3',
    'deployment.environment.name': 'test',
    'host.name': 'höst ☃',
    'process.pid': 4242,
    load: 0.5,
    'is.test': true,
    args: ['node', 'app.mjs'],
  });
  return { service, resource };
}

function makeGoldenSpans(tracer) {
  for (const kind of KINDS) {
    tracer.startSpan(`kind ${kind}`, { kind: SpanKind[kind], attributes: ATTRIBUTES }).end();
  }
  const remote = {
    traceId: '0102030405060708090a0b0c0d0e0f10',
    spanId: '1112131415161718',
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
    traceState: createTraceState('vendor=value,other=x:y'),
  };
  const links = [{ context: remote, attributes: ATTRIBUTES }];
  const parent = tracer.startSpan('with parent', { links }, trace.setSpanContext(ROOT_CONTEXT, remote));
  parent.addEvent('plain event');
  parent.addEvent('event with attributes', ATTRIBUTES, [1_700_000_000, 123_456_789]);
  parent.setStatus({ code: SpanStatusCode.OK });
  const child = tracer.startSpan('child', {}, trace.setSpan(ROOT_CONTEXT, parent));
  child.recordException(new TypeError('no such thing'));
  child.setStatus({ code: SpanStatusCode.ERROR, message: 'it went wrong: ☃' });
  child.end();
  parent.end();
  tracer.startSpan('of another time', { startTime: [1_600_000_000, 1] }).end([1_600_000_000, 2]);
}

function checkSpan(span, row) {
  const { traceId, traceState } = span.spanContext();
  assert.equal(row.trace_id, traceId);
  assert.equal(row.parent_span_id, span.parentSpanContext?.spanId ?? null);
  assert.equal(row.trace_state, traceState?.serialize() ?? null);
  assert.equal(row.flags & 0xff, span.spanContext().traceFlags & 0xff);
  assert.equal(nanos(row.start_time), hrNanos(span.startTime));
  assert.equal(BigInt(row.duration_ns), hrNanos(span.endTime) - hrNanos(span.startTime));
  assert.equal(row.kind, kindName(span.kind));
  assert.equal(row.status_code, codeName(span.status.code));
  assert.equal(row.status_message, span.status.message ?? null);
  sameAttributes(span.attributes, row, 'attributes', span.name);
  assert.equal(row.dropped_attributes_count, span.droppedAttributesCount);
  assert.equal(row.dropped_events_count, span.droppedEventsCount);
  assert.equal(row.dropped_links_count, span.droppedLinksCount);
  sameContext(span.instrumentationScope, span.resource, row, span.name);
  const events = row.events ?? [];
  assert.equal(events.length, span.events.length);
  span.events.forEach((event, index) => {
    assert.equal(events[index].name, event.name);
    assert.equal(nanos(events[index].time), hrNanos(event.time));
    sameJson(event.attributes, events[index].attributes, event.name);
  });
  const links = row.links ?? [];
  assert.equal(links.length, span.links.length);
  span.links.forEach((link, index) => {
    assert.equal(links[index].trace_id, link.context.traceId);
    assert.equal(links[index].span_id, link.context.spanId);
    assert.equal(links[index].trace_state, link.context.traceState.serialize());
    sameJson(link.attributes, links[index].attributes, 'link');
  });
}

function checkRecord(record, row) {
  const what = JSON.stringify(record.body);
  // As text, since JSON.parse rounds the integer of the column time_unix_nano.
  assert.equal(nanos(row.time), hrNanos(record.hrTime), what);
  assert.equal(nanos(row.observed_time), hrNanos(record.hrTimeObserved), what);
  assert.equal(row.severity_number, record.severityNumber ?? 0, what);
  assert.equal(row.severity_text, record.severityText ?? null, what);
  assert.equal(row.event_name, record.eventName ?? null, what);
  assert.equal(row.trace_id, record.spanContext?.traceId ?? null, what);
  assert.equal(row.span_id, record.spanContext?.spanId ?? null, what);
  assert.equal(row.flags, record.spanContext?.traceFlags ?? 0, what);
  if (typeof record.body === 'string') {
    assert.deepEqual([row.body ?? '', row.body_type], [record.body, 'string'], what);
  } else {
    assert.equal(row.body_type, 'json', what);
    assert.deepEqual(JSON.parse(row.body), storedForm(record.body), what);
  }
  sameAttributes(record.attributes, row, 'attributes', what);
  sameContext(record.instrumentationScope, record.resource, row, what);
}

function recordGoldenMetrics(meter) {
  const counter = meter.createCounter('requests', { unit: '{request}', description: 'Requests with ünïcödé' });
  counter.add(3, { route: '/a', status: 200 });
  counter.add(4, { route: '/b', list: ['x', 'y'] });
  meter.createCounter('bytes.sent', { unit: 'By' }).add(1.5);
  const updown = meter.createUpDownCounter('queue.length', { valueType: 0 });
  updown.add(5);
  updown.add(-8);
  meter.createGauge('temperature', { unit: 'Cel' }).record(-3.5, { room: 'cellar' });
  meter.createObservableGauge('cpu').addCallback((result) => result.observe(0.25, { cpu: 0 }));
  meter.createObservableCounter('page.faults', { valueType: 0 }).addCallback((result) => result.observe(1_000_000_007));
  meter.createObservableUpDownCounter('threads', { valueType: 0 }).addCallback((result) => result.observe(12));
  for (const name of ['request.duration', 'exponential.duration']) {
    const histogram = meter.createHistogram(name, { unit: 's', description: 'How long' });
    for (const value of [0.001, 0.02, 0.3, 4, 50, 12345.678]) histogram.record(value, { route: '/a' });
  }
}

// The names of the instruments as series: units are spelled out, counters end in _total.
const NAMES = {
  requests: 'requests_total',
  'bytes.sent': 'bytes_sent_total',
  'queue.length': 'queue_length',
  temperature: 'temperature_celsius',
  cpu: 'cpu',
  'page.faults': 'page_faults_total',
  threads: 'threads',
  'request.duration': 'request_duration_seconds',
  'exponential.duration': 'exponential_duration_seconds',
};

/** The samples that a point must become, as [name, more labels, value]; a native histogram's value is its count and sum. */
function samplesOf(metric, point) {
  const name = NAMES[metric.descriptor.name];
  const { value } = point;
  if (typeof value === 'number') return [[name, {}, value]];
  if (!value.buckets) return [[name, {}, [value.count, value.sum]]];
  const bounds = [...value.buckets.boundaries.map(String), '+Inf'];
  let below = 0;
  const buckets = value.buckets.counts.map((count, index) => [`${name}_bucket`, { le: bounds[index] }, (below += count)]);
  return [[`${name}_count`, {}, value.count], [`${name}_sum`, {}, value.sum], ...buckets];
}

const labelText = (value) => (Array.isArray(value) ? JSON.stringify(value) : String(value));

function seriesKey(name, labels) {
  return JSON.stringify([name, Object.entries(labels).sort()]);
}

for (const transport of TRANSPORTS) {
  describe(transport.name, () => {
    test('golden spans, field by field', async () => {
      const { service, resource } = newResource();
      const exporter = rememberingExporter(server, 'spans', transport);
      const provider = new NodeTracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor(exporter)] });
      makeGoldenSpans(provider.getTracer('interop.tracer', '0.9.1', { schemaUrl: 'https://example.com/1' }));
      makeGoldenSpans(provider.getTracer('bare'));
      await provider.forceFlush();
      await provider.shutdown();
      assert.deepEqual(exporter.failures, []);
      const spans = exporter.exported.flat();
      const rows = await server.query(`select * from spans where service_name = '${service}'`);
      assert.equal(rows.length, spans.length);
      assert.equal(spans.length, 2 * (KINDS.length + 3));
      const byId = new Map(rows.map((row) => [row.span_id, row]));
      for (const span of spans) {
        const row = byId.get(span.spanContext().spanId);
        assert.equal(row?.name, span.name);
        checkSpan(span, row);
      }
    });

    test('every span of a volume', async () => {
      const { service, resource } = newResource();
      const exporter = rememberingExporter(server, 'spans', transport);
      const processor = new BatchSpanProcessor(exporter, { maxQueueSize: 2 * VOLUME, maxExportBatchSize: 512 });
      const provider = new NodeTracerProvider({ resource, spanProcessors: [processor] });
      const tracer = provider.getTracer('volume');
      for (let number = 0; number < VOLUME; number++) tracer.startSpan('job', { attributes: { number } }).end();
      await provider.forceFlush();
      await provider.shutdown();
      assert.deepEqual(exporter.failures, []);
      const sent = exporter.exported.flat().map((span) => span.spanContext().spanId);
      assert.equal(sent.length, VOLUME);
      const rows = await server.query(`select span_id from spans where service_name = '${service}'`);
      assert.deepEqual(rows.map((row) => row.span_id).sort(), sent.sort());
    });

    test('golden log records, field by field', async () => {
      const { service, resource } = newResource();
      const exporter = rememberingExporter(server, 'logs', transport);
      const provider = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter })] });
      const logger = provider.getLogger('interop.logger', '0.9.1', { schemaUrl: 'https://example.com/1' });
      const bodies = ['a message ☃ \n', '', 42, 2.5, true, ['a', 1, null], { event: 'order', items: [{ $id: 1 }] }];
      bodies.push(new Uint8Array([0, 255]));
      bodies.forEach((body, number) =>
        logger.emit({
          body,
          timestamp: [1_700_000_000, number],
          observedTimestamp: [1_700_000_001, number],
          severityNumber: SeverityNumber.WARN2,
          severityText: 'Warning',
          attributes: { ...ATTRIBUTES, nested: { a: [1, { b: null }] }, number },
        }),
      );
      const span = new NodeTracerProvider().getTracer('context').startSpan('a span');
      logger.emit({
        body: 'within a span',
        eventName: 'order.placed',
        observedTimestamp: [1_700_000_002, 0],
        context: trace.setSpan(ROOT_CONTEXT, span),
      });
      await provider.forceFlush();
      await provider.shutdown();
      assert.deepEqual(exporter.failures, []);
      const records = exporter.exported.flat();
      assert.equal(records.length, bodies.length + 1);
      const rows = await server.query(`select * from logs where service_name = '${service}'`);
      assert.equal(rows.length, records.length);
      const byTime = new Map(rows.map((row) => [nanos(row.observed_time), row]));
      for (const record of records) checkRecord(record, byTime.get(hrNanos(record.hrTimeObserved)));
    });

    test('golden points, sample by sample', async () => {
      const { service, resource } = newResource();
      const exporter = rememberingExporter(server, 'metrics', transport);
      const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
      const views = [
        {
          instrumentName: 'exponential.duration',
          aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 20, recordMinMax: true } },
        },
      ];
      const provider = new MeterProvider({ resource, readers: [reader], views });
      recordGoldenMetrics(provider.getMeter('interop.meter', '0.9.1', { schemaUrl: 'https://example.com/1' }));
      await provider.forceFlush();
      // Shutting down exports once more; what was recorded is compared as it was at the first time.
      const exported = structuredClone(exporter.exported.map(({ scopeMetrics }) => scopeMetrics));
      await provider.shutdown();
      assert.deepEqual(exporter.failures, []);
      const expected = new Map();
      for (const metric of exported.flat().flatMap(({ metrics }) => metrics)) {
        for (const point of metric.dataPoints) {
          const own = Object.entries(point.attributes).map(([key, value]) => [key, labelText(value)]);
          for (const [name, more, value] of samplesOf(metric, point)) {
            expected.set(seriesKey(name, { job: service, ...Object.fromEntries(own), ...more }), {
              value,
              time: hrNanos(point.endTime) / 1_000_000n,
            });
          }
        }
      }
      const selector = `points('{job="${service}"}')`;
      const rows = await server.query(`select * from ${selector} where name <> 'target_info' order by time`);
      const found = new Map();
      for (const { name, labels, time, value, histogram } of rows) {
        const key = seriesKey(name, JSON.parse(labels));
        const native = histogram && JSON.parse(histogram);
        // The last export, at shutdown, says the same once more.
        if (!found.has(key)) {
          const known = native ? [Number(native.count), Number(native.sum)] : value;
          found.set(key, { value: known, time: nanos(time) / 1_000_000n });
        }
      }
      assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
      for (const [key, sample] of expected) assert.deepEqual(found.get(key), sample, key);
      const described = await server.query("select distinct type, help from series where name = 'requests_total'");
      assert.deepEqual(described, [{ type: 'counter', help: 'Requests with ünïcödé' }]);
    });
  });
}
