//! Data files: Parquet, sorted, with statistics and bloom filters for the questions that are asked.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{concat_batches, interleave_record_batch, max, min};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use bytes::Bytes;
use chrono::{DateTime, Days, NaiveDate};
use deltalake::kernel::{Add, LogicalFileView, Remove};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::json;
use tripod_storage::schema::Kind;
use tripod_storage::{Signal, TimeRange};
use uuid::Uuid;

use crate::LakeError;
use crate::columns::{DATE, file_schema, to_file_form};
use crate::hot::widen;
use crate::order::{DayRows, SORT_COLUMN};
use crate::trace_index::{IndexBuilder, TraceIndex, is_indexed};

/// Rows of a row group. A trace's spans lie in the row groups of its services, and the id column of each is decoded to
/// find them: the smaller the group, the sooner. Much smaller groups would cost space for their footers.
pub(crate) const ROW_GROUP_ROWS: usize = 32 * 1024;
/// Rows of a page, which is the least that is decompressed to read one row.
const PAGE_ROWS: usize = 4 * 1024;
/// Rows that are gathered and encoded at once.
const CHUNK_ROWS: usize = 8 * 1024;
/// Rows of a stretch from which on copying it whole is faster than row by row.
const LONG_STRETCH: usize = 8;

/// How a table is called, and where its rows say when they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) name: &'static str,
    /// The column with a row's first moment.
    pub(crate) first: &'static str,
    /// The column with a row's last moment; the same where a row has only one.
    pub(crate) last: &'static str,
}

impl From<Signal> for TableName {
    fn from(signal: Signal) -> Self {
        Self { name: signal.table(), first: signal.time_column(), last: signal.time_column() }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A file of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DataFile {
    /// Path below the table's root.
    pub(crate) path: String,
    /// Size in bytes.
    pub(crate) bytes: u64,
    /// How many rows.
    pub(crate) rows: u64,
    /// The partition: the day of every row, as `YYYY-MM-DD`.
    pub(crate) date: String,
    /// Time of the oldest row in the table's unit since the Unix epoch: nanoseconds, for series milliseconds.
    pub(crate) min_time: i64,
    /// Time of the newest row, in the same unit.
    pub(crate) max_time: i64,
    /// When it was written, milliseconds since the Unix epoch.
    pub(crate) written: i64,
}

impl DataFile {
    /// Whether a row may lie in the range.
    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        self.min_time < range.end && self.max_time >= range.start
    }

    pub(crate) fn add(&self, table: impl Into<TableName>, data_change: bool) -> Add {
        let TableName { first, last, .. } = table.into();
        let stats = json!({
            "numRecords": self.rows,
            "minValues": { first: self.min_time },
            "maxValues": { last: self.max_time },
            "nullCount": { first: 0, last: 0 },
        });
        Add {
            path: self.path.clone(),
            partition_values: [(DATE.to_owned(), Some(self.date.clone()))].into(),
            size: self.bytes as i64,
            modification_time: self.written,
            data_change,
            stats: Some(stats.to_string()),
            ..Add::default()
        }
    }

    pub(crate) fn remove(&self, data_change: bool) -> Remove {
        Remove {
            path: self.path.clone(),
            data_change,
            deletion_timestamp: Some(now_millis()),
            extended_file_metadata: Some(true),
            partition_values: Some([(DATE.to_owned(), Some(self.date.clone()))].into()),
            size: Some(self.bytes as i64),
            ..Remove::default()
        }
    }

    /// Reads back what [`DataFile::add`] wrote.
    pub(crate) fn from_log(table: TableName, file: &LogicalFileView) -> Result<Self, LakeError> {
        let path = file.path().into_owned();
        let unexpected = |what: &str| LakeError::Unexpected(format!("file {path} of table {table} {what}"));
        let stats: serde_json::Value = file
            .stats()
            .and_then(|stats| serde_json::from_str(&stats).ok())
            .ok_or_else(|| unexpected("has no statistics"))?;
        let number = |value: &serde_json::Value| value.as_i64().ok_or_else(|| unexpected("lacks a statistic"));
        Ok(Self {
            bytes: file.size() as u64,
            rows: number(&stats["numRecords"])? as u64,
            date: file.partition_values_map().remove(DATE).flatten().ok_or_else(|| unexpected("has no date"))?,
            min_time: number(&stats["minValues"][table.first])?,
            max_time: number(&stats["maxValues"][table.last])?,
            written: file.modification_time(),
            path,
        })
    }
}

pub(crate) fn now_millis() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// A new file's path below the table's root.
pub(crate) fn new_path(date: &str) -> String {
    format!("{DATE}={date}/{}.parquet", Uuid::new_v4())
}

fn date(day: i32) -> String {
    let epoch = DateTime::UNIX_EPOCH.date_naive();
    let date: Option<NaiveDate> = if day >= 0 {
        epoch.checked_add_days(Days::new(day as u64))
    } else {
        epoch.checked_sub_days(Days::new(u64::from(day.unsigned_abs())))
    };
    // 64-bit nanoseconds end in the year 2262, which chrono reaches.
    date.unwrap_or_default().to_string()
}

/// A file that is written to memory.
pub(crate) struct FileWriter {
    signal: Signal,
    date: String,
    writer: ArrowWriter<Vec<u8>>,
    index: Option<IndexBuilder>,
    rows: u64,
    min_time: i64,
    max_time: i64,
}

impl FileWriter {
    pub(crate) fn new(signal: Signal, date: String) -> Result<Self, LakeError> {
        let writer = ArrowWriter::try_new(Vec::new(), file_schema(signal), Some(properties(signal)?))?;
        let index = signal.columns().iter().any(|column| is_indexed(signal, column.name)).then(IndexBuilder::default);
        Ok(Self { signal, date, writer, index, rows: 0, min_time: i64::MAX, max_time: i64::MIN })
    }

    /// Appends rows in the form of files; they continue the order of those before.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        let times = rows
            .column_by_name(self.signal.time_column())
            .and_then(|array| array.as_primitive_opt::<Int64Type>())
            .ok_or_else(|| LakeError::Unexpected("rows to be written have no time".to_owned()))?;
        self.min_time = min(times).map_or(self.min_time, |time| time.min(self.min_time));
        self.max_time = max(times).map_or(self.max_time, |time| time.max(self.max_time));
        self.rows += rows.num_rows() as u64;
        if let Some(index) = &mut self.index {
            index.push(rows);
        }
        Ok(self.writer.write(rows)?)
    }

    /// Bytes written so far, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// The file and its content.
    pub(crate) fn finish(mut self) -> Result<(DataFile, Bytes), LakeError> {
        if let Some(index) = self.index {
            let index = index.finish().encode();
            self.writer.flush()?;
            self.writer.append_key_value_metadata(TraceIndex::key_value(self.writer.bytes_written(), index.len()));
            self.writer.write_all(&index)?;
        }
        let content = Bytes::from(self.writer.into_inner()?);
        let file = DataFile {
            path: new_path(&self.date),
            bytes: content.len() as u64,
            rows: self.rows,
            date: self.date,
            min_time: self.min_time,
            max_time: self.max_time,
            written: now_millis(),
        };
        Ok((file, content))
    }
}

/// Writes the rows of one day, gathered from the batches in their order.
pub(crate) fn write_day(
    signal: Signal,
    batches: &[&RecordBatch],
    day: &DayRows,
) -> Result<(DataFile, Bytes), LakeError> {
    let mut writer = FileWriter::new(signal, date(day.day))?;
    let schema = file_schema(signal);
    // Gathering costs by the column, whether it holds something or not, and many hold nothing.
    let filled: Vec<usize> = (0..schema.fields().len())
        .filter(|index| batches.iter().any(|batch| batch.column(*index).null_count() < batch.num_rows()))
        .collect();
    let batches = batches.iter().map(|batch| batch.project(&filled)).collect::<Result<Vec<_>, _>>()?;
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    for places in day.rows.chunks(CHUNK_ROWS) {
        let gathered = to_file_form(&gather(&batches, places)?)?;
        writer.write(&widen(&schema, &filled, &gathered)?)?;
    }
    writer.finish()
}

/// Rows from their places in several batches. Where neighbours were neighbours already, as those of one service in a
/// request, they are copied together.
fn gather(batches: &[&RecordBatch], places: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
    let follows = |a: &(usize, usize), b: &(usize, usize)| a.0 == b.0 && a.1 + 1 == b.1;
    let stretches = places.chunk_by(follows);
    match batches {
        [first, ..] if stretches.clone().count() * LONG_STRETCH <= places.len() => {
            let slices: Vec<_> = stretches
                .filter_map(|stretch| Some((stretch.first()?, stretch.len())))
                .map(|((batch, row), length)| batches[*batch].slice(*row, length))
                .collect();
            concat_batches(first.schema_ref(), &slices)
        }
        batches => interleave_record_batch(batches, places),
    }
}

fn properties(signal: Signal) -> Result<WriterProperties, LakeError> {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("tripod ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    let path = |name: &str| ColumnPath::from(name);
    for name in [SORT_COLUMN, signal.time_column()] {
        builder = builder.set_column_statistics_enabled(path(name), EnabledStatistics::Page);
    }
    for column in signal.columns() {
        let is_identifier = is_identifier(column.name, column.kind);
        if is_identifier && !is_indexed(signal, column.name) {
            // Statistics of random ids say nothing; a bloom filter says nearly all.
            builder = builder
                .set_column_bloom_filter_enabled(path(column.name), true)
                .set_column_bloom_filter_fpp(path(column.name), 0.01)
                .set_column_bloom_filter_max_ndv(path(column.name), ROW_GROUP_ROWS as u64);
        }
        if is_identifier || column.kind == Kind::SpanId {
            // Lengths apart from the text, which then has nothing but digits: half a byte less for each id.
            builder = builder
                .set_column_encoding(path(column.name), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_column_statistics_enabled(path(column.name), EnabledStatistics::None);
        }
        if (is_identifier && column.name != REQUEST) || column.kind == Kind::SpanId {
            // Nearly every value is new: a dictionary would be built only to be given up.
            builder = builder.set_column_dictionary_enabled(path(column.name), false);
        }
        if column.kind == Kind::Time || column.name == "duration_ns" {
            // Neighbours are close; a dictionary would hold every value once.
            builder = builder
                .set_column_dictionary_enabled(path(column.name), false)
                .set_column_encoding(path(column.name), Encoding::DELTA_BINARY_PACKED);
        }
        if column.kind == Kind::Json {
            builder = builder.set_column_statistics_enabled(path(column.name), EnabledStatistics::None);
        }
    }
    Ok(builder.build())
}

/// All that happens in a request carries its id, which is long: a dictionary saves a byte a row. A trace's id would gain
/// half of that and lose it again when a single trace is looked up, as all of the dictionary must be read.
const REQUEST: &str = "request_id";

/// Columns that rows are looked up by, one value at a time.
fn is_identifier(name: &str, kind: Kind) -> bool {
    const CONTEXT: [&str; 5] = [REQUEST, "session_id", "job_id", "user_id", "correlation_id"];
    kind == Kind::TraceId || CONTEXT.contains(&name)
}

/// Files of a table at one moment.
pub(crate) type Files = Arc<Vec<Arc<DataFile>>>;

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringViewArray};

    use super::*;

    #[test]
    fn rows_are_gathered_in_their_order_whether_they_lie_together_or_apart() {
        let batch = |number: i64| {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..40).map(|row| Some(number * 40 + row))));
            let texts = (0..40).map(|row| (row % 3 > 0).then(|| format!("a text of the number {}", number * 40 + row)));
            let texts: ArrayRef = Arc::new(StringViewArray::from_iter(texts));
            RecordBatch::try_from_iter([("number", numbers), ("text", texts)]).unwrap()
        };
        let batches = [batch(0), batch(1), batch(2)];
        let batches: Vec<_> = batches.iter().collect();
        let together: Vec<_> = [(2, 10..40), (0, 0..20), (1, 5..6), (2, 0..10), (0, 20..40)]
            .into_iter()
            .flat_map(|(batch, rows)| rows.map(move |row| (batch, row)))
            .collect();
        let apart: Vec<_> = (0..40).flat_map(|row| [(1, row), (0, 39 - row)]).collect();
        for places in [together, apart, vec![(1, 1)]] {
            let gathered = gather(&batches, &places).unwrap();
            assert_eq!(gathered, interleave_record_batch(&batches, &places).unwrap());
        }
    }
}
