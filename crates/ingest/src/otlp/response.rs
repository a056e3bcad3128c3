use bytes::Bytes;
use prost::Message;
use serde_json::json;
use tonic_types::pb;
use tripod_storage::record::Rejections;

use super::signal::Signal;

/// `Export{Trace,Logs,Metrics}ServiceResponse`: the three have the same fields under other names.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    /// `rejected_spans`, `rejected_log_records`, `rejected_data_points`.
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// What a request's records became.
#[derive(Debug)]
pub(super) struct Exported {
    pub(super) signal: Signal,
    /// How many records were kept.
    pub(super) kept: usize,
    pub(super) rejections: Rejections,
}

impl Exported {
    /// The answer in protobuf; empty when all was kept.
    pub(super) fn to_protobuf(&self) -> Bytes {
        let partial_success = (self.rejections.count > 0).then(|| PartialSuccess {
            rejected: i64::try_from(self.rejections.count).unwrap_or(i64::MAX),
            error_message: self.error_message(),
        });
        ExportResponse { partial_success }.encode_to_vec().into()
    }

    /// The answer in JSON, in protobuf's mapping: 64-bit integers are strings.
    pub(super) fn to_json(&self) -> Bytes {
        if self.rejections.count == 0 {
            return Bytes::from_static(b"{}");
        }
        let answer = json!({
            "partialSuccess": { self.signal.rejected(): self.rejections.count.to_string(), "errorMessage": self.error_message() }
        });
        answer.to_string().into()
    }

    fn error_message(&self) -> String {
        let records = self.signal.records();
        let rejected = self.rejections.count;
        let all = rejected.saturating_add(self.kept as u64);
        match &self.rejections.first {
            Some(first) => format!("{rejected} of {all} {records} were not kept; the first: {first}"),
            None => format!("{rejected} of {all} {records} were not kept"),
        }
    }
}

/// An error as `google.rpc.Status` in protobuf.
pub(super) fn status_to_protobuf(code: tonic::Code, message: &str) -> Bytes {
    pb::Status { code: code.into(), message: message.to_owned(), details: Vec::new() }.encode_to_vec().into()
}

/// An error as `google.rpc.Status` in JSON.
pub(super) fn status_to_json(code: tonic::Code, message: &str) -> Bytes {
    json!({ "code": i32::from(code), "message": message }).to_string().into()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

    use super::*;

    fn partial(signal: Signal) -> Exported {
        Exported { signal, kept: 2, rejections: Rejections { count: 1, first: Some("traceId: is zero".to_owned()) } }
    }

    #[test]
    fn full_success_is_an_empty_message() {
        let exported = Exported { signal: Signal::Logs, kept: 2, rejections: Rejections { count: 0, first: None } };
        assert_eq!(exported.to_protobuf(), Bytes::new());
        assert_eq!(exported.to_json(), Bytes::from_static(b"{}"));
    }

    #[test]
    fn one_message_fits_all_three_responses() {
        let spans = ExportTraceServiceResponse::decode(partial(Signal::Traces).to_protobuf()).unwrap();
        let spans = spans.partial_success.unwrap();
        assert_eq!(spans.rejected_spans, 1);
        assert_eq!(spans.error_message, "1 of 3 spans were not kept; the first: traceId: is zero");
        let logs = ExportLogsServiceResponse::decode(partial(Signal::Logs).to_protobuf()).unwrap();
        assert_eq!(logs.partial_success.map(|partial| partial.rejected_log_records), Some(1));
        let metrics = ExportMetricsServiceResponse::decode(partial(Signal::Metrics).to_protobuf()).unwrap();
        assert_eq!(metrics.partial_success.map(|partial| partial.rejected_data_points), Some(1));
    }

    #[test]
    fn json_names_the_rejected_records() {
        for (signal, name) in [
            (Signal::Traces, "rejectedSpans"),
            (Signal::Logs, "rejectedLogRecords"),
            (Signal::Metrics, "rejectedDataPoints"),
        ] {
            let answer: serde_json::Value = serde_json::from_slice(&partial(signal).to_json()).unwrap();
            assert_eq!(answer["partialSuccess"][name], "1");
        }
    }
}
