//! Metrics as a host's exporter and an HTTP server give them: counters, gauges and histograms.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric,
};

use super::source::{Source, resource, scope, text};

const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
const DEVICES: [&str; 4] = ["nvme0n1", "nvme1n1", "dm-0", "dm-1"];
const INTERFACES: [&str; 3] = ["eth0", "eth1", "lo"];
const MOUNTS: [&str; 4] = ["/", "/boot", "/var/lib/data", "/run"];
const ROUTES: [&str; 6] =
    ["/api/v1/command", "/api/v1/products", "/api/v1/orders", "/api/v1/search", "/health", "/metrics"];
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A request of `count` points of one host at `now`, nanoseconds since the epoch.
pub(crate) fn request(source: &mut Source, host: usize, count: usize, now: u64) -> ExportMetricsServiceRequest {
    let start = now - 86_400_000_000_000;
    let mut metrics = Vec::new();
    let mut left = count;
    // A host with more series than the exporter has is a host with more processors.
    let mut processor = 0;
    for index in 0.. {
        if left == 0 {
            break;
        }
        let metric = match index {
            0 => gauges(source, "node_memory_Active_bytes", "By", now, &mut left, &[vec![]]),
            1 => gauges(source, "node_memory_MemAvailable_bytes", "By", now, &mut left, &[vec![]]),
            2 => gauges(source, "node_load1", "1", now, &mut left, &[vec![]]),
            3 => gauges(source, "node_filesystem_avail_bytes", "By", now, &mut left, &labelled("mountpoint", &MOUNTS)),
            4 => counters(
                source,
                "node_disk_read_bytes_total",
                "By",
                start,
                now,
                &mut left,
                &labelled("device", &DEVICES),
            ),
            5 => counters(
                source,
                "node_disk_written_bytes_total",
                "By",
                start,
                now,
                &mut left,
                &labelled("device", &DEVICES),
            ),
            6 => counters(
                source,
                "node_network_receive_bytes_total",
                "By",
                start,
                now,
                &mut left,
                &labelled("device", &INTERFACES),
            ),
            7 => counters(
                source,
                "node_network_transmit_bytes_total",
                "By",
                start,
                now,
                &mut left,
                &labelled("device", &INTERFACES),
            ),
            8 => counters(source, "node_context_switches_total", "1", start, now, &mut left, &[vec![]]),
            9 => histograms(source, "http.server.request.duration", start, now, &mut left),
            _ => {
                let labels: Vec<_> =
                    MODES.iter().map(|mode| vec![text("cpu", processor.to_string()), text("mode", *mode)]).collect();
                processor += 1;
                counters(source, "node_cpu_seconds_total", "s", start, now, &mut left, &labels)
            }
        };
        metrics.push(metric);
    }
    let mut resource = resource("node-exporter");
    resource.attributes.push(text("host.id", format!("host-{host:05}")));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope("node")), metrics, schema_url: String::new() }],
            schema_url: String::new(),
        }],
    }
}

fn labelled(key: &str, values: &[&str]) -> Vec<Vec<KeyValue>> {
    values.iter().map(|value| vec![text(key, *value)]).collect()
}

fn metric(name: &str, unit: &str, data: metric::Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: format!("{name} of the host."),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn taken<'a>(left: &mut usize, labels: &'a [Vec<KeyValue>]) -> impl Iterator<Item = Vec<KeyValue>> + 'a {
    let count = labels.len().min(*left);
    *left -= count;
    labels[..count].iter().cloned()
}

fn gauges(source: &mut Source, name: &str, unit: &str, now: u64, left: &mut usize, labels: &[Vec<KeyValue>]) -> Metric {
    let data_points = taken(left, labels)
        .map(|attributes| NumberDataPoint {
            attributes,
            time_unix_nano: now,
            value: Some(Value::AsDouble((source.between(1_000, 64_000_000_000) / 4_096 * 4_096) as f64)),
            ..NumberDataPoint::default()
        })
        .collect();
    metric(name, unit, metric::Data::Gauge(Gauge { data_points }))
}

fn counters(
    source: &mut Source,
    name: &str,
    unit: &str,
    start: u64,
    now: u64,
    left: &mut usize,
    labels: &[Vec<KeyValue>],
) -> Metric {
    let seconds = unit == "s";
    let data_points = taken(left, labels)
        .map(|attributes| NumberDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: now,
            // A template's counter is what one step adds.
            value: Some(match seconds {
                true => Value::AsDouble(source.between(1, 1_500) as f64 / 100.0),
                false => Value::AsInt(source.between(1, 4_000_000) as i64),
            }),
            ..NumberDataPoint::default()
        })
        .collect();
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    metric(name, unit, metric::Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true }))
}

fn histograms(source: &mut Source, name: &str, start: u64, now: u64, left: &mut usize) -> Metric {
    let data_points = taken(left, &labelled("http.route", &ROUTES))
        .map(|attributes| {
            let bucket_counts: Vec<u64> =
                (0..=BOUNDS.len() as u64).map(|bucket| source.between(0, 400 / (bucket + 1))).collect();
            let count = bucket_counts.iter().sum();
            HistogramDataPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: now,
                count,
                sum: Some(count as f64 * 0.031),
                bucket_counts,
                explicit_bounds: BOUNDS.to_vec(),
                ..HistogramDataPoint::default()
            }
        })
        .collect();
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    metric(name, "s", metric::Data::Histogram(Histogram { data_points, aggregation_temporality }))
}
