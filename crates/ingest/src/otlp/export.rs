use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use tripod_otlp::{DecodeError, Limits, json, protobuf};
use tripod_storage::record::{LogRows, MetricRows, Rejections, SpanRows};
use tripod_storage::{Batch, Signal};

use super::response::Exported;
use crate::Ingest;
use crate::admission::Permit;
use crate::body;
use crate::compression::Encoding;
use crate::decoding::Decoded;
use crate::meters::Meters;
use crate::prometheus::otlp::SeriesTarget;
use crate::refusal::{Reason, Refusal, Violation};

/// The two forms of an OTLP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

/// Reads a request's body to its end, as it comes over the network.
pub(super) async fn receive(
    ingest: &Ingest,
    meters: &Meters,
    body: &mut Body,
    limit: usize,
    permit: &mut Permit,
) -> Result<Bytes, Refusal> {
    let received = body::receive(body, limit, ingest.settings.read_timeout(), permit).await?;
    meters.received(received.len());
    Ok(received)
}

/// Decodes a request and appends its records, all that can be kept or none.
///
/// When the future is dropped before it is done, the store has all of them or none, and the permit is given back.
pub(super) async fn export(
    ingest: &Ingest,
    meters: &Meters,
    signal: Signal,
    format: Format,
    encoding: Encoding,
    received: Bytes,
    permit: Permit,
) -> Result<Exported, Refusal> {
    let limits = ingest.settings.limits();
    let decode = move |body: &[u8]| decode(signal, format, body, &limits).map_err(invalid);
    let Decoded { value: (batch, rejections), decompressed_bytes, permit } =
        ingest.decoding.decode(encoding, received, permit, decode).await?;
    meters.decompressed(decompressed_bytes);
    let kept = batch.rows.num_rows();
    if kept > 0 {
        ingest.keep(batch).await?;
    }
    // Until here the rows took about as much memory as the body did before.
    drop(permit);
    meters.kept(kept as u64, rejections.count);
    Ok(Exported { signal, kept, rejections })
}

/// As [`export`] for metrics that are kept as series.
pub(super) async fn export_series(
    ingest: &Ingest,
    meters: &Meters,
    series: &SeriesTarget,
    format: Format,
    encoding: Encoding,
    received: Bytes,
    permit: Permit,
) -> Result<Exported, Refusal> {
    let limits = ingest.settings.limits();
    let mut sink = series.sink(now_unix_nano() / 1_000_000);
    let decode = move |body: &[u8]| {
        match format {
            Format::Protobuf => protobuf::metrics(body, &limits, &mut sink),
            Format::Json => json::metrics(body, &limits, &mut sink),
        }
        .map_err(invalid)?;
        Ok(sink.finish())
    };
    let Decoded { value: (batch, mut rejections), decompressed_bytes, permit } =
        ingest.decoding.decode(encoding, received, permit, decode).await?;
    meters.decompressed(decompressed_bytes);
    let mut kept = 0;
    if !batch.labels.is_empty() {
        let appended = series.keep(batch).await?;
        kept = appended.floats + appended.histograms;
        rejections.count += appended.refused as u64;
        if let (None, Some(refused)) = (&rejections.first, appended.rejected.first()) {
            rejections.first = Some(format!("{} for series {}", refused.reason, refused.labels));
        }
    }
    drop(permit);
    meters.kept(kept as u64, rejections.count);
    Ok(Exported { signal: Signal::Metrics, kept, rejections })
}

fn decode(signal: Signal, format: Format, body: &[u8], limits: &Limits) -> Result<(Batch, Rejections), DecodeError> {
    let arrival = now_unix_nano();
    match signal {
        Signal::Spans => {
            let mut rows = SpanRows::new(arrival);
            match format {
                Format::Protobuf => protobuf::traces(body, limits, &mut rows)?,
                Format::Json => json::traces(body, limits, &mut rows)?,
            }
            Ok(rows.finish())
        }
        Signal::Logs => {
            let mut rows = LogRows::new(arrival);
            match format {
                Format::Protobuf => protobuf::logs(body, limits, &mut rows)?,
                Format::Json => json::logs(body, limits, &mut rows)?,
            }
            Ok(rows.finish())
        }
        Signal::Metrics => {
            let mut rows = MetricRows::new(arrival);
            match format {
                Format::Protobuf => protobuf::metrics(body, limits, &mut rows)?,
                Format::Json => json::metrics(body, limits, &mut rows)?,
            }
            Ok(rows.finish())
        }
    }
}

/// 0 while the clock stands before 1970, `i64::MAX` after 2262.
fn now_unix_nano() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cold]
fn invalid(error: DecodeError) -> Refusal {
    let field = (!error.path().is_empty())
        .then(|| Violation { path: error.path().to_owned(), description: error.message().to_owned() });
    Refusal { field, ..Refusal::new(Reason::Invalid, error.to_string()) }
}
