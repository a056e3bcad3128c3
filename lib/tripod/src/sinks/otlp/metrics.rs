//! Snapshots of all metrics as an `ExportMetricsServiceRequest`.

use super::attributes::scope;
use super::json;
use super::protobuf::Message;
use super::transport::Encode;
use crate::metrics::{OtlpWriter, Snapshot};

/// Encodes snapshots, one after the other.
pub(super) struct Metrics(pub(super) OtlpWriter);

impl Encode for Metrics {
    type Item = Snapshot;
    const SERVICE: &'static str = "opentelemetry.proto.collector.metrics.v1.MetricsService";
    const JSON: &'static json::Message = &json::METRICS;

    fn encode(&mut self, resource: &[u8], batch: Vec<Snapshot>, out: &mut Message) {
        out.message(1, |out| {
            out.bytes(1, resource);
            for snapshot in &batch {
                out.message(2, |out| {
                    scope(out, "tripod");
                    self.0.write(snapshot, &mut out.0);
                });
            }
        });
    }
}
