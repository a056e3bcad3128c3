//! Log records as application servers write them: messages of about 300 bytes with context ids.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};

use super::source::{SERVICES, Source, int, resource, scope, text};

const SEVERITIES: [(SeverityNumber, &str); 6] = [
    (SeverityNumber::Info, "INFO"),
    (SeverityNumber::Info, "INFO"),
    (SeverityNumber::Info, "INFO"),
    (SeverityNumber::Debug, "DEBUG"),
    (SeverityNumber::Warn, "WARNING"),
    (SeverityNumber::Error, "ERROR"),
];

const LOGGERS: [&str; 5] = ["uvicorn.access", "app.orders", "app.agent.planner", "app.billing", "sqlalchemy.engine"];

/// A request of `count` records that happened before `now`, nanoseconds since the epoch.
pub(crate) fn request(source: &mut Source, count: usize, now: u64) -> ExportLogsServiceRequest {
    let mut by_service: [Vec<LogRecord>; SERVICES.len()] = Default::default();
    let mut left = count;
    while left > 0 {
        let lines = (source.between(3, 8) as usize).min(left);
        left -= lines;
        let service = source.below(SERVICES.len());
        let served = Served::new(source);
        let mut time = now - source.between(100_000_000, 1_000_000_000);
        for _ in 0..lines {
            time += source.between(10_000, 12_000_000);
            by_service[service].push(record(source, &served, time));
        }
    }
    let resource_logs = SERVICES
        .iter()
        .zip(by_service)
        .filter(|(_, records)| !records.is_empty())
        .map(|(service, log_records)| ResourceLogs {
            resource: Some(resource(service)),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope("opentelemetry.sdk._logs")),
                log_records,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        })
        .collect();
    ExportLogsServiceRequest { resource_logs }
}

/// A request that a service served: what its lines share.
struct Served {
    trace_id: Vec<u8>,
    span_ids: [Vec<u8>; 2],
    request_id: String,
    session_id: String,
    user_id: String,
}

impl Served {
    fn new(source: &mut Source) -> Self {
        Self {
            trace_id: source.trace_id(),
            span_ids: [source.span_id(), source.span_id()],
            request_id: source.uuid(),
            session_id: source.hex(16),
            user_id: format!("user-{}", source.between(1, 50_000)),
        }
    }
}

fn record(source: &mut Source, served: &Served, time: u64) -> LogRecord {
    let (severity, severity_text) = *source.pick(&SEVERITIES);
    let logger = *source.pick(&LOGGERS);
    let body = body(source, logger, &served.request_id);
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time + source.between(1_000, 3_000_000),
        severity_number: severity as i32,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(body)) }),
        attributes: vec![
            text("logger", logger),
            text("request_id", served.request_id.as_str()),
            text("session_id", served.session_id.as_str()),
            text("user_id", served.user_id.as_str()),
            text("code.file.path", format!("/srv/app/{}.py", logger.replace('.', "/"))),
            int("code.line.number", source.between(20, 400) as i64),
            text("code.function.name", *source.pick(&["handle", "execute", "dispatch", "on_message"])),
        ],
        flags: 1,
        trace_id: served.trace_id.clone(),
        span_id: source.pick(&served.span_ids).clone(),
        ..LogRecord::default()
    }
}

fn body(source: &mut Source, logger: &str, request_id: &str) -> String {
    let mut line = match source.below(4) {
        0 => format!(
            "10.4.{}.{}:{} - \"GET /api/v1/products/{}?page={}&size=50 HTTP/1.1\" {} {}b in {}.{:03}ms",
            source.below(8),
            source.below(250),
            source.between(30_000, 60_000),
            source.hex(8),
            source.between(1, 90),
            source.pick(&[200, 200, 200, 404, 500]),
            source.between(200, 90_000),
            source.between(1, 900),
            source.below(1_000),
        ),
        1 => format!(
            "order {} accepted for customer {} with {} items, total {}.{:02} EUR, payment authorised by provider \
             reference {}",
            source.hex(12),
            source.between(1, 50_000),
            source.between(1, 9),
            source.between(3, 900),
            source.below(100),
            source.hex(20),
        ),
        2 => format!(
            "planner chose tool {} after {} steps; prompt {} tokens, completion {} tokens, cached {}",
            source.pick(&["search_products", "get_order_status", "create_ticket"]),
            source.between(1, 12),
            source.between(80, 12_000),
            source.between(5, 1_500),
            source.chance(0.3),
        ),
        _ => format!(
            "SELECT orders.id, orders.total, orders.created_at FROM orders WHERE orders.user_id = {} AND orders.id = \
             '{}' [generated in 0.{:05}s]",
            source.between(1, 50_000),
            source.hex(16),
            source.below(100_000),
        ),
    };
    line.push_str(&format!(" | logger={logger} worker={} correlation={request_id}", source.below(16)));
    while line.len() < 290 {
        line.push_str(&format!(
            " {}={}",
            source.pick(&["retry", "queue_depth", "lag_ms", "cache_hits", "pool_free", "region_shard"]),
            source.below(10_000)
        ));
    }
    line
}
