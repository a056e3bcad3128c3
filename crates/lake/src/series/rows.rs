//! The table of series: one row a chunk.
//!
//! Rows are sorted by metric and labels, so that a query for one metric reads few pages. A chunk lies within a day, the
//! partition of its row. Series of one target share their times: the column of times has a dictionary, and so
//! holds them once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use bytes::Bytes;
use chrono::{Days, NaiveDate};
use deltalake::kernel::{DataType as DeltaType, PrimitiveType, StructField};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tripod_model::series::{FloatSamples, HistogramSamples, Labels, METRIC_NAME, Samples, SeriesExemplar};
use tripod_storage::series::chunk::ChunkEncoder;
use tripod_storage::series::{ChunkKind, EncodedChunk};

use crate::LakeError;
use crate::columns::DATE;
use crate::data_file::TableName;
use crate::table::Shape;

pub(crate) const TABLE: TableName = TableName { name: "series", first: "min_time", last: "max_time" };

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// The columns by their places.
pub(super) mod place {
    pub(in super::super) const METRIC: usize = 0;
    pub(in super::super) const LABELS: usize = 1;
    pub(in super::super) const KIND: usize = 2;
    pub(in super::super) const MIN_TIME: usize = 3;
    pub(in super::super) const MAX_TIME: usize = 4;
    pub(in super::super) const SAMPLES: usize = 5;
    pub(in super::super) const SEQUENCE: usize = 6;
    pub(in super::super) const TIMESTAMPS: usize = 7;
    pub(in super::super) const STARTS: usize = 8;
    pub(in super::super) const VALUES: usize = 9;
}

/// The names of the columns, in the order of [`place`], each with its type in files and in the table's log.
pub(super) fn columns() -> [(&'static str, DataType, PrimitiveType); 10] {
    let text = |name| (name, DataType::Utf8, PrimitiveType::String);
    let number = |name| (name, DataType::Int64, PrimitiveType::Long);
    let binary = |name| (name, DataType::Binary, PrimitiveType::Binary);
    [
        text("metric_name"),
        text("labels"),
        text("kind"),
        number("min_time"),
        number("max_time"),
        number("samples"),
        number("sequence"),
        binary("timestamps"),
        binary("start_timestamps"),
        binary("values"),
    ]
}

pub(super) fn shape() -> Shape {
    let mut fields: Vec<_> =
        columns().into_iter().map(|(name, _, kind)| StructField::new(name, DeltaType::Primitive(kind), true)).collect();
    fields.push(StructField::new(DATE, DeltaType::Primitive(PrimitiveType::Date), true));
    Shape {
        name: TABLE,
        comment: "Tripod series, a row a chunk of samples; times are milliseconds since the Unix epoch".to_owned(),
        columns: fields,
    }
}

pub(super) fn file_schema() -> SchemaRef {
    Arc::new(Schema::new(columns().map(|(name, data_type, _)| Field::new(name, data_type, true)).to_vec()))
}

/// A series in the form of the table: the order of rows is that of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SeriesKey {
    /// Empty when the series has no name.
    pub(super) metric: String,
    /// The other labels as JSON, sorted by name.
    pub(super) labels: String,
}

impl SeriesKey {
    pub(super) fn new(labels: &Labels) -> Self {
        let mut json = String::from("{");
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            if json.len() > 1 {
                json.push(',');
            }
            // Text is always written.
            json.push_str(&serde_json::to_string(name).unwrap_or_default());
            json.push(':');
            json.push_str(&serde_json::to_string(value).unwrap_or_default());
        }
        json.push('}');
        Self { metric: labels.metric_name().unwrap_or_default().to_owned(), labels: json }
    }
}

/// Names and values of a JSON object; text is borrowed where it has no escapes.
struct LabelPairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for LabelPairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(Cow<'de, str>, Cow<'de, str>)>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(16);
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Self)
    }
}

/// Text that is borrowed where it can be.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The labels of a row.
pub(super) fn labels_of(metric: &str, labels: &str) -> Result<Labels, LakeError> {
    let mut all: LabelPairs<'_> = serde_json::from_str(labels)
        .map_err(|error| LakeError::Unexpected(format!("labels in table {TABLE} cannot be read: {error}")))?;
    if !metric.is_empty() {
        all.0.push((METRIC_NAME.into(), metric.into()));
    }
    all.0.sort_unstable();
    let pairs = all.0.iter().map(|(name, value)| (&**name, &**value));
    Labels::from_sorted(pairs).ok_or_else(|| unexpected("has a series with one label twice"))
}

/// What a row says of its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowHead {
    /// The kind of its chunk; `None` when it has exemplars.
    pub(super) kind: Option<ChunkKind>,
    count: u32,
    /// Time of the first sample or exemplar.
    pub(super) first: i64,
    /// Time of the last one.
    pub(super) last: i64,
    /// Which of two rows was kept earlier.
    pub(super) sequence: i64,
}

/// What a row holds.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Samples.
    Chunk(EncodedChunk),
    /// Exemplars as JSON.
    Exemplars { first: i64, last: i64, count: u32, json: Bytes },
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) key: Arc<SeriesKey>,
    /// Place in the log of what the row came from; of samples with one time the lower counts.
    pub(super) sequence: i64,
    pub(super) content: Content,
}

pub(super) const EXEMPLARS: &str = "exemplars";

impl Row {
    pub(super) fn span(&self) -> (i64, i64) {
        match &self.content {
            Content::Chunk(chunk) => (chunk.first, chunk.last),
            Content::Exemplars { first, last, .. } => (*first, *last),
        }
    }
}

/// The day of a moment; days that no calendar has are those at its ends.
pub(super) fn day(timestamp: i64) -> i64 {
    // The years 1 and 9999.
    timestamp.div_euclid(DAY_MILLIS).clamp(-719_162, 2_932_896)
}

pub(super) fn date(day: i64) -> String {
    let epoch = NaiveDate::default();
    let days = Days::new(day.unsigned_abs());
    let date = if day < 0 { epoch.checked_sub_days(days) } else { epoch.checked_add_days(days) };
    date.unwrap_or_default().to_string()
}

fn unexpected(what: &str) -> LakeError {
    LakeError::Unexpected(format!("a file of table {TABLE} {what}"))
}

/// Text of a column that must be there.
pub(super) fn text(rows: &RecordBatch, column: usize, row: usize) -> Result<&str, LakeError> {
    let array = rows.column(column).as_string_opt::<i32>().ok_or_else(|| unexpected("has no text where it belongs"))?;
    Ok(if array.is_null(row) { "" } else { array.value(row) })
}

/// A number of a column that must be there.
pub(super) fn number(rows: &RecordBatch, column: usize, row: usize) -> Result<i64, LakeError> {
    let array = rows
        .column(column)
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(|| unexpected("has no number where it belongs"))?;
    if array.is_null(row) {
        return Err(unexpected("lacks a number"));
    }
    Ok(array.value(row))
}

fn bytes(rows: &RecordBatch, column: usize, row: usize) -> Result<Option<Bytes>, LakeError> {
    let array =
        rows.column(column).as_binary_opt::<i32>().ok_or_else(|| unexpected("has no bytes where they belong"))?;
    Ok((!array.is_null(row)).then(|| Bytes::copy_from_slice(array.value(row))))
}

/// The head of a row of which the columns up to that of sequences were read.
pub(super) fn head(rows: &RecordBatch, row: usize) -> Result<RowHead, LakeError> {
    let kind = match text(rows, place::KIND, row)? {
        EXEMPLARS => None,
        kind => Some(ChunkKind::from_name(kind).ok_or_else(|| unexpected("has chunks of a kind that is not known"))?),
    };
    let count = number(rows, place::SAMPLES, row)?;
    Ok(RowHead {
        kind,
        count: u32::try_from(count).map_err(|_| unexpected("has an impossible count"))?,
        first: number(rows, place::MIN_TIME, row)?,
        last: number(rows, place::MAX_TIME, row)?,
        sequence: number(rows, place::SEQUENCE, row)?,
    })
}

/// The content of a row of which the columns from that of times on were read; they begin at the place `from`.
pub(super) fn content(head: &RowHead, rows: &RecordBatch, from: usize, row: usize) -> Result<Content, LakeError> {
    let column = |place: usize| bytes(rows, place - place::TIMESTAMPS + from, row);
    let RowHead { kind, count, first, last, .. } = *head;
    let values = column(place::VALUES)?.ok_or_else(|| unexpected("lacks values"))?;
    let Some(kind) = kind else { return Ok(Content::Exemplars { first, last, count, json: values }) };
    let timestamps = column(place::TIMESTAMPS)?.ok_or_else(|| unexpected("lacks times"))?;
    let start_timestamps = column(place::STARTS)?;
    Ok(Content::Chunk(EncodedChunk { kind, count, first, last, timestamps, start_timestamps, values }))
}

/// Samples of a series as chunks, each within a day.
pub(super) fn encode(samples: &Samples, encoder: &mut ChunkEncoder) -> Vec<EncodedChunk> {
    let mut chunks = Vec::new();
    for part in days(&samples.floats.timestamps) {
        let column = |starts: &Vec<i64>| starts.get(part.clone()).map(<[i64]>::to_vec).unwrap_or_default();
        chunks.extend(encoder.floats(&FloatSamples {
            timestamps: samples.floats.timestamps[part.clone()].to_vec(),
            values: samples.floats.values[part.clone()].to_vec(),
            start_timestamps: column(&samples.floats.start_timestamps),
        }));
    }
    for part in days(&samples.histograms.timestamps) {
        let column = |starts: &Vec<i64>| starts.get(part.clone()).map(<[i64]>::to_vec).unwrap_or_default();
        chunks.extend(encoder.histograms(&HistogramSamples {
            timestamps: samples.histograms.timestamps[part.clone()].to_vec(),
            values: samples.histograms.values[part.clone()].to_vec(),
            start_timestamps: column(&samples.histograms.start_timestamps),
        }));
    }
    chunks
}

/// Ranges of times that lie in one day each.
fn days(times: &[i64]) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    for part in times.chunk_by(|a, b| day(*a) == day(*b)) {
        ranges.push(from..from + part.len());
        from += part.len();
    }
    ranges
}

/// Exemplars of a series as the content of rows, each within a day.
pub(super) fn encode_exemplars(exemplars: &[SeriesExemplar]) -> Vec<Content> {
    let mut sorted = exemplars.to_vec();
    sorted.sort_by_key(|exemplar| exemplar.timestamp);
    let part = |part: &[SeriesExemplar]| {
        let json: Vec<_> = part
            .iter()
            .map(|exemplar| {
                let labels: BTreeMap<_, _> = exemplar.labels.iter().collect();
                // A number as text: JSON has no infinity.
                serde_json::json!({ "labels": labels, "value": exemplar.value.to_string(), "timestamp": exemplar.timestamp })
            })
            .collect();
        Content::Exemplars {
            first: part[0].timestamp,
            last: part[part.len() - 1].timestamp,
            count: part.len() as u32,
            json: serde_json::Value::Array(json).to_string().into(),
        }
    };
    sorted.chunk_by(|a, b| day(a.timestamp) == day(b.timestamp)).map(part).collect()
}

/// Reads what [`encode_exemplars`] wrote.
pub(super) fn decode_exemplars(json: &[u8]) -> Result<Vec<SeriesExemplar>, LakeError> {
    #[derive(serde::Deserialize)]
    struct Stored {
        labels: BTreeMap<String, String>,
        value: String,
        timestamp: i64,
    }
    let stored: Vec<Stored> = serde_json::from_slice(json)
        .map_err(|error| unexpected(&format!("has exemplars that cannot be read: {error}")))?;
    let exemplar = |stored: Stored| {
        Ok(SeriesExemplar {
            labels: Labels::from_pairs(stored.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            value: stored.value.parse().map_err(|_| unexpected("has an exemplar without a value"))?,
            timestamp: stored.timestamp,
        })
    };
    stored.into_iter().map(exemplar).collect()
}
