//! `/api/v1/read`: samples for another Prometheus that names this one in its `remote_read`.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/>: a `prometheus.ReadRequest` in, a
//! `prometheus.ReadResponse` out, both as one block of Snappy. Of the two kinds of answers there is `SAMPLES`; a client that
//! would rather have `STREAMED_XOR_CHUNKS` names both and takes what it gets.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use prost::Message;
use prost::encoding::{WireType, double, encode_key, encode_varint, encoded_len_varint, int64, sint32, uint32};
use tripod_model::series::{CounterResetHint, FloatHistogram, NativeSpan, Samples};
use tripod_storage::SelectError;
use tripod_storage::series::{LabelMatcher, MatchOp, MillisRange, SelectSeries, SelectedSeries};

use super::{Prometheus, Shared};
use crate::self_metrics;

/// A longer request is refused, before and after decompression, as in Prometheus.
const MAX_REQUEST_BYTES: usize = 32 << 20;

/// `SAMPLES` of `ReadRequest.ResponseType`.
const SAMPLES: i32 = 0;

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
    #[prost(int32, repeated, tag = "2")]
    accepted_response_types: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start_timestamp_ms: i64,
    #[prost(int64, tag = "2")]
    end_timestamp_ms: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<Matcher>,
}

#[derive(Clone, PartialEq, Message)]
struct Matcher {
    #[prost(int32, tag = "1")]
    op: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

/// Status and reason.
type Refusal = (StatusCode, String);

pub(super) async fn read(State(prometheus): State<Shared>, request: Request) -> Response {
    let started = Instant::now();
    let headers = [(CONTENT_TYPE, "application/x-protobuf"), (CONTENT_ENCODING, "snappy")];
    let (response, rows) = match answer(&prometheus, request.into_body()).await {
        Ok((body, rows)) => ((headers, body).into_response(), rows),
        Err((status, reason)) => ((status, reason + "\n").into_response(), 0),
    };
    self_metrics::record("prometheus", response.status(), started, rows);
    response
}

async fn answer(prometheus: &Prometheus, body: Body) -> Result<(Vec<u8>, u64), Refusal> {
    let bad = |reason: String| (StatusCode::BAD_REQUEST, reason);
    let body = axum::body::to_bytes(body, MAX_REQUEST_BYTES).await.map_err(|error| bad(error.to_string()))?;
    let request = decode(&body).map_err(bad)?;
    let mut selected = Vec::with_capacity(request.queries.len());
    for query in request.queries {
        let range = MillisRange { start: query.start_timestamp_ms, end: query.end_timestamp_ms };
        let matchers = query.matchers.into_iter().map(matcher).collect::<Result<_, _>>().map_err(bad)?;
        let found = prometheus.engine.store().select_series(SelectSeries { matchers, range }).await.map_err(failed)?;
        selected.push((found, range));
    }
    let limit = prometheus.settings.max_samples;
    let encoded = tokio::task::spawn_blocking(move || encode(selected, limit)).await;
    encoded.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
}

fn failed(error: SelectError) -> Refusal {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn decode(body: &[u8]) -> Result<ReadRequest, String> {
    let size = snap::raw::decompress_len(body).map_err(|error| error.to_string())?;
    if size > MAX_REQUEST_BYTES {
        return Err(format!("snappy: decoded length {size} exceeds limit {MAX_REQUEST_BYTES}"));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| error.to_string())?;
    let request = ReadRequest::decode(&*bytes).map_err(|error| error.to_string())?;
    if !request.accepted_response_types.is_empty() && !request.accepted_response_types.contains(&SAMPLES) {
        return Err("server does not support any of the requested response types; it supports SAMPLES".to_owned());
    }
    Ok(request)
}

fn matcher(matcher: Matcher) -> Result<LabelMatcher, String> {
    let op = match matcher.op {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        _ => return Err("invalid matcher type".to_owned()),
    };
    LabelMatcher::new(matcher.name, op, matcher.value)
        .map_err(|error| format!("error parsing regexp: {}", error.reason))
}

/// The response of at most so many samples, compressed, and the number of its series.
fn encode(selected: Vec<(Vec<SelectedSeries>, MillisRange)>, limit: usize) -> Result<(Vec<u8>, u64), Refusal> {
    let (mut response, mut result, mut message, mut part) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut rows, mut count) = (0, 0);
    for (series, range) in selected {
        result.clear();
        for each in series {
            let samples = each.samples(range).map_err(failed)?;
            if samples.is_empty() {
                continue;
            }
            count += samples.len();
            if count > limit {
                return Err((StatusCode::BAD_REQUEST, format!("exceeded sample limit ({limit})")));
            }
            message.clear();
            for (name, value) in each.labels.iter() {
                part.clear();
                nested(1, name.as_bytes(), &mut part);
                nested(2, value.as_bytes(), &mut part);
                nested(1, &part, &mut message);
            }
            push_samples(&samples, &mut part, &mut message);
            nested(1, &message, &mut result);
            rows += 1;
        }
        nested(1, &result, &mut response);
    }
    let compressed = snap::raw::Encoder::new().compress_vec(&response);
    compressed.map(|body| (body, rows)).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn push_samples(samples: &Samples, part: &mut Vec<u8>, message: &mut Vec<u8>) {
    for (time, value) in samples.floats.timestamps.iter().zip(&samples.floats.values) {
        part.clear();
        double::encode(1, value, part);
        int64::encode(2, time, part);
        nested(2, part, message);
    }
    for (time, value) in samples.histograms.timestamps.iter().zip(&samples.histograms.values) {
        part.clear();
        histogram(value, part);
        int64::encode(15, time, part);
        nested(4, part, message);
    }
}

fn nested(field: u32, body: &[u8], out: &mut Vec<u8>) {
    out.reserve(body.len() + 1 + encoded_len_varint(body.len() as u64));
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

fn histogram(histogram: &FloatHistogram, out: &mut Vec<u8>) {
    double::encode(2, &histogram.count, out);
    double::encode(3, &histogram.sum, out);
    sint32::encode(4, &histogram.schema, out);
    double::encode(5, &histogram.zero_threshold, out);
    double::encode(7, &histogram.zero_count, out);
    spans(8, &histogram.negative_spans, out);
    double::encode_packed(10, &histogram.negative_buckets, out);
    spans(11, &histogram.positive_spans, out);
    double::encode_packed(13, &histogram.positive_buckets, out);
    let hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    };
    uint32::encode(14, &hint, out);
    double::encode_packed(16, &histogram.custom_values, out);
}

fn spans(field: u32, spans: &[NativeSpan], out: &mut Vec<u8>) {
    let mut body = Vec::new();
    for span in spans {
        body.clear();
        sint32::encode(1, &span.offset, &mut body);
        uint32::encode(2, &span.length, &mut body);
        nested(field, &body, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(request: &ReadRequest) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
    }

    #[test]
    fn a_client_that_takes_no_samples_is_refused() {
        let with = |accepted_response_types| ReadRequest { queries: Vec::new(), accepted_response_types };
        assert!(decode(&packed(&with(vec![1, 0]))).is_ok());
        assert!(decode(&packed(&with(vec![]))).is_ok());
        assert!(decode(&packed(&with(vec![1]))).unwrap_err().contains("SAMPLES"));
    }

    #[test]
    fn a_block_that_claims_too_much_is_refused_before_memory_is_taken() {
        let mut block = Vec::new();
        encode_varint(1 << 31, &mut block);
        assert!(decode(&block).unwrap_err().contains("exceeds limit"));
    }

    #[test]
    fn samples_over_the_limit_are_refused() {
        let mut samples = Samples::default();
        samples.floats.insert(0, 1, 1.0, 0);
        samples.floats.insert(1, 2, 1.0, 0);
        let labels = tripod_model::series::Labels::from_pairs([("__name__", "up")]);
        let chunks = vec![tripod_storage::series::Chunk::Samples(std::sync::Arc::new(samples))];
        let selected = vec![(vec![SelectedSeries { labels, chunks }], MillisRange::ALL)];
        assert_eq!(encode(selected.clone(), 2).unwrap().1, 1);
        assert_eq!(encode(selected, 1), Err((StatusCode::BAD_REQUEST, "exceeded sample limit (1)".to_owned())));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
            let block = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
            let _ = decode(&block);
        }
    }
}
