//! `/api/v1/read`: samples for another Prometheus that names this one in its `remote_read`.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/>: a `prometheus.ReadRequest` in, a
//! response out, of the first kind that the client names: [`samples`] or [`chunked`].

mod chunked;
mod samples;
mod xor;

use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use tokio::sync::mpsc;
use tripod_model::series::Labels;
use tripod_storage::SelectError;
use tripod_storage::series::{LabelMatcher, MatchOp, MillisRange, SelectSeries, SelectedSeries};

use super::{Prometheus, Shared};
use crate::self_metrics;

/// A longer request is refused, before and after decompression, as in Prometheus.
const MAX_REQUEST_BYTES: usize = 32 << 20;

/// Frames that wait for a client which is slower than the store.
const FRAMES_AHEAD: usize = 4;

/// `ReadRequest.ResponseType`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ResponseType {
    Samples,
    StreamedXorChunks,
}

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
    let answered = answer(&prometheus, request.into_body()).await;
    let (response, rows) = answered.unwrap_or_else(|(status, reason)| ((status, reason + "\n").into_response(), 0));
    self_metrics::record("prometheus", response.status(), started, rows);
    response
}

/// The response and the number of its series.
async fn answer(prometheus: &Prometheus, body: Body) -> Result<(Response, u64), Refusal> {
    let bad = |reason: String| (StatusCode::BAD_REQUEST, reason);
    let body = axum::body::to_bytes(body, MAX_REQUEST_BYTES).await.map_err(|error| bad(error.to_string()))?;
    let request = decode(&body).map_err(bad)?;
    let kind = negotiate(&request.accepted_response_types).map_err(bad)?;
    let mut selected = Vec::with_capacity(request.queries.len());
    for query in request.queries {
        let range = MillisRange { start: query.start_timestamp_ms, end: query.end_timestamp_ms };
        let matchers = query.matchers.into_iter().map(matcher).collect::<Result<_, _>>().map_err(bad)?;
        let found = prometheus.engine.store().select_series(SelectSeries { matchers, range }).await.map_err(failed)?;
        selected.push((found, range));
    }
    if kind == ResponseType::StreamedXorChunks {
        let rows = selected.iter().map(|(found, _)| found.len() as u64).sum();
        let headers = [(CONTENT_TYPE, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse")];
        return Ok(((headers, stream_chunks(selected)).into_response(), rows));
    }
    let limit = prometheus.settings.max_samples;
    let encoded = tokio::task::spawn_blocking(move || samples::encode(selected, limit)).await;
    let (body, rows) = encoded.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))??;
    let headers = [(CONTENT_TYPE, "application/x-protobuf"), (CONTENT_ENCODING, "snappy")];
    Ok(((headers, body).into_response(), rows))
}

/// Frames are made on a thread for such work, a few ahead of the client. A damaged chunk breaks the connection off, which
/// the client takes for the error that it is.
fn stream_chunks(selected: Vec<(Vec<SelectedSeries>, MillisRange)>) -> Body {
    let (sender, receiver) = mpsc::channel::<Result<Vec<u8>, SelectError>>(FRAMES_AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = chunked::write(selected, |frame| sender.blocking_send(Ok(frame)).is_ok()) {
            tracing::warn!(%error, "an answer to a remote read was broken off");
            // The client may have gone, too.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Body::from_stream(stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))))
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
    ReadRequest::decode(&*bytes).map_err(|error| error.to_string())
}

/// The first kind of response that is accepted and known; who accepts none in particular gets samples.
fn negotiate(accepted: &[i32]) -> Result<ResponseType, String> {
    if accepted.is_empty() {
        return Ok(ResponseType::Samples);
    }
    let known = accepted.iter().find_map(|number| match number {
        0 => Some(ResponseType::Samples),
        1 => Some(ResponseType::StreamedXorChunks),
        _ => None,
    });
    known.ok_or_else(|| {
        let accepted: Vec<_> = accepted.iter().map(i32::to_string).collect();
        format!(
            "server does not support any of the requested response types: [{}]; supported: \
             map[SAMPLES:{{}} STREAMED_XOR_CHUNKS:{{}}]",
            accepted.join(" ")
        )
    })
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

/// The labels as fields of a series.
fn labels(labels: &Labels, part: &mut Vec<u8>, message: &mut Vec<u8>) {
    for (name, value) in labels.iter() {
        part.clear();
        nested(1, name.as_bytes(), part);
        nested(2, value.as_bytes(), part);
        nested(1, part, message);
    }
}

/// A field of so many bytes.
fn nested(field: u32, body: &[u8], out: &mut Vec<u8>) {
    out.reserve(body.len() + 1 + encoded_len_varint(body.len() as u64));
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(request: &ReadRequest) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
    }

    #[test]
    fn the_first_known_kind_of_response_is_taken() {
        let negotiated = |accepted_response_types| {
            let request = ReadRequest { queries: Vec::new(), accepted_response_types };
            negotiate(&decode(&packed(&request)).unwrap().accepted_response_types)
        };
        assert_eq!(negotiated(vec![1, 0]), Ok(ResponseType::StreamedXorChunks));
        assert_eq!(negotiated(vec![7, 0, 1]), Ok(ResponseType::Samples));
        assert_eq!(negotiated(vec![]), Ok(ResponseType::Samples));
        let words = "server does not support any of the requested response types: [7 8]; supported: \
                     map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]";
        assert_eq!(negotiated(vec![7, 8]), Err(words.to_owned()));
    }

    #[test]
    fn a_block_that_claims_too_much_is_refused_before_memory_is_taken() {
        let mut block = Vec::new();
        encode_varint(1 << 31, &mut block);
        assert!(decode(&block).unwrap_err().contains("exceeds limit"));
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
