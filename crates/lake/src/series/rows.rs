//! The table of series: one row a chunk.
//!
//! Rows are sorted by metric and labels, so that a query for one metric reads few pages. A chunk lies within a day, the
//! partition of its row. Series of one target share their times: the column of times has a dictionary, and so
//! holds them once.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use bytes::Bytes;
use chrono::{Days, NaiveDate};
use deltalake::kernel::{DataType as DeltaType, PrimitiveType, StructField};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tripod_model::series::{FloatSamples, HistogramSamples, Labels, METRIC_NAME, Samples, SeriesExemplar};
use tripod_storage::series::{ChunkKind, EncodedChunk, chunk};

use crate::LakeError;
use crate::columns::DATE;
use crate::data_file::{DataFile, TableName, new_path, now_millis};
use crate::table::Shape;

pub(crate) const TABLE: TableName = TableName { name: "series", first: "min_time", last: "max_time" };

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Rows of a page: a chunk is some hundred bytes to some thousand.
const PAGE_ROWS: usize = 128;
const ROW_GROUP_ROWS: usize = 64 * 1024;
/// Rows that are gathered and written at once.
const BATCH_ROWS: usize = 4096;
/// Room for the times of all targets.
const TIMES_DICTIONARY_BYTES: usize = 8 << 20;

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
fn columns() -> [(&'static str, DataType, PrimitiveType); 10] {
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

/// The labels of a row.
pub(super) fn labels_of(metric: &str, labels: &str) -> Result<Labels, LakeError> {
    let others: BTreeMap<String, String> = serde_json::from_str(labels)
        .map_err(|error| LakeError::Unexpected(format!("labels in table {TABLE} cannot be read: {error}")))?;
    let name = (!metric.is_empty()).then_some((METRIC_NAME, metric));
    Ok(Labels::from_pairs(others.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(name)))
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

const EXEMPLARS: &str = "exemplars";

impl Row {
    pub(super) fn span(&self) -> (i64, i64) {
        match &self.content {
            Content::Chunk(chunk) => (chunk.first, chunk.last),
            Content::Exemplars { first, last, .. } => (*first, *last),
        }
    }
}

/// A file that lies in memory, with its rows sorted.
pub(super) type Written = (DataFile, Bytes);

/// Writes rows into files, one a day.
pub(super) fn write(mut rows: Vec<Row>) -> Result<Vec<Written>, LakeError> {
    rows.sort_by(|a, b| {
        let day = |row: &Row| day(row.span().0);
        day(a).cmp(&day(b)).then_with(|| a.key.cmp(&b.key)).then_with(|| a.sequence.cmp(&b.sequence))
    });
    rows.chunk_by(|a, b| day(a.span().0) == day(b.span().0)).map(write_day).collect()
}

fn write_day(rows: &[Row]) -> Result<Written, LakeError> {
    let mut writer = ArrowWriter::try_new(Vec::new(), file_schema(), Some(properties()?))?;
    for rows in rows.chunks(BATCH_ROWS) {
        writer.write(&to_batch(rows)?)?;
    }
    let content = Bytes::from(writer.into_inner()?);
    let spans = || rows.iter().map(Row::span);
    let min_time = spans().map(|(first, _)| first).min().unwrap_or(0);
    let date = date(day(min_time));
    let file = DataFile {
        path: new_path(&date),
        bytes: content.len() as u64,
        rows: rows.len() as u64,
        date,
        min_time,
        max_time: spans().map(|(_, last)| last).max().unwrap_or(0),
        written: now_millis(),
    };
    Ok((file, content))
}

/// The day of a moment; days that no calendar has are those at its ends.
pub(super) fn day(timestamp: i64) -> i64 {
    // The years 1 and 9999.
    timestamp.div_euclid(DAY_MILLIS).clamp(-719_162, 2_932_896)
}

fn date(day: i64) -> String {
    let epoch = NaiveDate::default();
    let days = Days::new(day.unsigned_abs());
    let date = if day < 0 { epoch.checked_sub_days(days) } else { epoch.checked_add_days(days) };
    date.unwrap_or_default().to_string()
}

fn properties() -> Result<WriterProperties, LakeError> {
    let path = |place: usize| ColumnPath::from(columns()[place].0);
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("tripod ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_write_batch_size(PAGE_ROWS)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_dictionary_enabled(path(place::VALUES), false)
        .set_column_dictionary_page_size_limit(path(place::TIMESTAMPS), TIMES_DICTIONARY_BYTES);
    for place in [place::METRIC, place::MIN_TIME, place::MAX_TIME] {
        builder = builder.set_column_statistics_enabled(path(place), EnabledStatistics::Page);
    }
    Ok(builder.build())
}

fn to_batch(rows: &[Row]) -> Result<RecordBatch, LakeError> {
    let (mut metric, mut labels, mut kind) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let numbers = || Int64Builder::with_capacity(rows.len());
    let (mut min_time, mut max_time, mut samples, mut sequence) = (numbers(), numbers(), numbers(), numbers());
    let (mut timestamps, mut starts, mut values) = (BinaryBuilder::new(), BinaryBuilder::new(), BinaryBuilder::new());
    for row in rows {
        metric.append_option((!row.key.metric.is_empty()).then_some(&row.key.metric));
        labels.append_value(&row.key.labels);
        let (first, last) = row.span();
        min_time.append_value(first);
        max_time.append_value(last);
        sequence.append_value(row.sequence);
        match &row.content {
            Content::Chunk(chunk) => {
                kind.append_value(chunk.kind.name());
                samples.append_value(i64::from(chunk.count));
                timestamps.append_value(&chunk.timestamps);
                starts.append_option(chunk.start_timestamps.as_ref());
                values.append_value(&chunk.values);
            }
            Content::Exemplars { count, json, .. } => {
                kind.append_value(EXEMPLARS);
                samples.append_value(i64::from(*count));
                timestamps.append_null();
                starts.append_null();
                values.append_value(json);
            }
        }
    }
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(metric.finish()),
        Arc::new(labels.finish()),
        Arc::new(kind.finish()),
        Arc::new(min_time.finish()),
        Arc::new(max_time.finish()),
        Arc::new(samples.finish()),
        Arc::new(sequence.finish()),
        Arc::new(timestamps.finish()),
        Arc::new(starts.finish()),
        Arc::new(values.finish()),
    ];
    Ok(RecordBatch::try_new(file_schema(), arrays)?)
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

/// The content of a row of which all columns from the place `from` on were read.
pub(super) fn content(rows: &RecordBatch, from: usize, row: usize) -> Result<Content, LakeError> {
    let (first, last) = (number(rows, place::MIN_TIME - from, row)?, number(rows, place::MAX_TIME - from, row)?);
    let count =
        u32::try_from(number(rows, place::SAMPLES - from, row)?).map_err(|_| unexpected("has an impossible count"))?;
    let values = bytes(rows, place::VALUES - from, row)?.ok_or_else(|| unexpected("lacks values"))?;
    let kind = text(rows, place::KIND - from, row)?;
    if kind == EXEMPLARS {
        return Ok(Content::Exemplars { first, last, count, json: values });
    }
    Ok(Content::Chunk(EncodedChunk {
        kind: ChunkKind::from_name(kind).ok_or_else(|| unexpected("has chunks of a kind that is not known"))?,
        count,
        first,
        last,
        timestamps: bytes(rows, place::TIMESTAMPS - from, row)?.ok_or_else(|| unexpected("lacks times"))?,
        start_timestamps: bytes(rows, place::STARTS - from, row)?,
        values,
    }))
}

/// Samples of a series as chunks, each within a day.
pub(super) fn encode(samples: &Samples) -> Vec<EncodedChunk> {
    let mut chunks = Vec::new();
    for part in days(&samples.floats.timestamps) {
        let column = |starts: &Vec<i64>| starts.get(part.clone()).map(<[i64]>::to_vec).unwrap_or_default();
        chunks.extend(chunk::encode_floats(&FloatSamples {
            timestamps: samples.floats.timestamps[part.clone()].to_vec(),
            values: samples.floats.values[part.clone()].to_vec(),
            start_timestamps: column(&samples.floats.start_timestamps),
        }));
    }
    for part in days(&samples.histograms.timestamps) {
        let column = |starts: &Vec<i64>| starts.get(part.clone()).map(<[i64]>::to_vec).unwrap_or_default();
        chunks.extend(chunk::encode_histograms(&HistogramSamples {
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
