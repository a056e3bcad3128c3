use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use tripod_otlp::{DecodeError, Limits, json, protobuf};
use tripod_storage::Batch;
use tripod_storage::record::{LogRows, Rejections, SpanRows};
use tripod_storage::series::SeriesBatch;

use super::response::Exported;
use super::signal::Signal;
use crate::Ingest;
use crate::admission::Permit;
use crate::body;
use crate::compression::Encoding;
use crate::decoding::Decoded;
use crate::meters::Meters;
use crate::prometheus::otlp::{OtlpSeries, SeriesTarget};
use crate::refusal::{Reason, Refusal, Violation};

/// The two forms of an OTLP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

/// Where requests of one signal arrive over one transport.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) ingest: Arc<Ingest>,
    pub(super) signal: Signal,
    pub(super) meters: Arc<Meters>,
    /// Where metrics go.
    pub(super) series: SeriesTarget,
}

/// What a request holds.
enum Records {
    Rows(Batch),
    Series(SeriesBatch),
}

impl Endpoint {
    /// Reads a request's body to its end, as it comes over the network.
    pub(super) async fn receive(&self, body: &mut Body, limit: usize, permit: &mut Permit) -> Result<Bytes, Refusal> {
        let received = body::receive(body, limit, self.ingest.settings.read_timeout(), permit).await?;
        self.meters.received(received.len());
        Ok(received)
    }

    /// Decodes a request and appends its records: spans and log records all that can be kept or none, points one by one.
    ///
    /// When the future is dropped before it is done, the store has all of them or none, and the permit is given back.
    pub(super) async fn export(
        &self,
        format: Format,
        encoding: Encoding,
        received: Bytes,
        permit: Permit,
    ) -> Result<Exported, Refusal> {
        let Self { ingest, signal, meters, series } = self;
        let limits = ingest.settings.limits();
        let arrival = now_unix_nano();
        let (signal, points) = (*signal, series.sink(arrival / 1_000_000));
        let decode =
            move |body: &[u8]| decode(signal, format, body, &limits, arrival, points).map_err(|error| invalid(&error));
        let Decoded { value: (records, mut rejections), decompressed_bytes, permit } =
            ingest.decoding.decode(encoding, received, permit, decode).await?;
        meters.decompressed(decompressed_bytes);
        let kept = match records {
            Records::Rows(batch) => {
                let rows = batch.rows.num_rows();
                if rows > 0 {
                    ingest.keep(batch).await?;
                }
                rows
            }
            Records::Series(batch) if batch.labels.is_empty() => 0,
            Records::Series(batch) => {
                let appended = series.keep(batch).await?;
                rejections.count += appended.refused as u64;
                if let (None, Some(refused)) = (&rejections.first, appended.rejected.first()) {
                    rejections.first = Some(format!("{} for series {}", refused.reason, refused.labels));
                }
                appended.floats + appended.histograms
            }
        };
        // Until here the records took about as much memory as the body did before.
        drop(permit);
        meters.kept(kept as u64, rejections.count);
        Ok(Exported { signal, kept, rejections })
    }
}

fn decode(
    signal: Signal,
    format: Format,
    body: &[u8],
    limits: &Limits,
    arrival: i64,
    mut points: OtlpSeries,
) -> Result<(Records, Rejections), DecodeError> {
    match signal {
        Signal::Traces => {
            let mut rows = SpanRows::new(arrival);
            match format {
                Format::Protobuf => protobuf::traces(body, limits, &mut rows)?,
                Format::Json => json::traces(body, limits, &mut rows)?,
            }
            let (batch, rejections) = rows.finish();
            Ok((Records::Rows(batch), rejections))
        }
        Signal::Logs => {
            let mut rows = LogRows::new(arrival);
            match format {
                Format::Protobuf => protobuf::logs(body, limits, &mut rows)?,
                Format::Json => json::logs(body, limits, &mut rows)?,
            }
            let (batch, rejections) = rows.finish();
            Ok((Records::Rows(batch), rejections))
        }
        Signal::Metrics => {
            match format {
                Format::Protobuf => protobuf::metrics(body, limits, &mut points)?,
                Format::Json => json::metrics(body, limits, &mut points)?,
            }
            let (batch, rejections) = points.finish();
            Ok((Records::Series(batch), rejections))
        }
    }
}

/// 0 while the clock stands before 1970, `i64::MAX` after 2262.
fn now_unix_nano() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cold]
fn invalid(error: &DecodeError) -> Refusal {
    let field = (!error.path().is_empty())
        .then(|| Violation { path: error.path().to_owned(), description: error.message().to_owned() });
    Refusal { field, ..Refusal::new(Reason::Invalid, error.to_string()) }
}
