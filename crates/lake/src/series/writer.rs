//! Writing files of the table, a batch of rows at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::rows::{Content, EXEMPLARS, Row, columns, date, day, file_schema, place};
use crate::LakeError;
use crate::data_file::{DataFile, new_path, now_millis};

/// Rows of a page: a chunk is some hundred bytes to some thousand.
const PAGE_ROWS: usize = 128;
const ROW_GROUP_ROWS: usize = 64 * 1024;
/// Rows that are gathered and written at once.
const BATCH_ROWS: usize = 4096;
/// Room for the times of all targets.
const TIMES_DICTIONARY_BYTES: usize = 8 << 20;

/// A file that lies in memory.
pub(super) type Written = (DataFile, Bytes);

/// Writes rows, ascending by series, into files, one a day.
#[derive(Default)]
pub(super) struct Writer {
    days: BTreeMap<i64, DayWriter>,
}

struct DayWriter {
    content: ArrowWriter<Vec<u8>>,
    rows: usize,
    min_time: i64,
    max_time: i64,
    /// Rows that wait until they are a batch.
    waiting: Vec<Row>,
}

impl Writer {
    /// Adds rows that come after all before.
    pub(super) fn push(&mut self, rows: impl IntoIterator<Item = Row>) -> Result<(), LakeError> {
        for row in rows {
            let day = day(row.span().0);
            let writer = match self.days.entry(day) {
                std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
                std::collections::btree_map::Entry::Vacant(empty) => empty.insert(DayWriter::new()?),
            };
            writer.push(row)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Written>, LakeError> {
        self.days.into_iter().map(|(day, writer)| writer.finish(day)).collect()
    }
}

impl DayWriter {
    fn new() -> Result<Self, LakeError> {
        let content = ArrowWriter::try_new(Vec::new(), file_schema(), Some(properties()?))?;
        Ok(Self { content, rows: 0, min_time: i64::MAX, max_time: i64::MIN, waiting: Vec::with_capacity(BATCH_ROWS) })
    }

    fn push(&mut self, row: Row) -> Result<(), LakeError> {
        let (first, last) = row.span();
        self.min_time = self.min_time.min(first);
        self.max_time = self.max_time.max(last);
        self.rows += 1;
        self.waiting.push(row);
        if self.waiting.len() == BATCH_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), LakeError> {
        self.content.write(&to_batch(&self.waiting)?)?;
        self.waiting.clear();
        Ok(())
    }

    fn finish(mut self, day: i64) -> Result<Written, LakeError> {
        if !self.waiting.is_empty() {
            self.write()?;
        }
        let content = Bytes::from(self.content.into_inner()?);
        let date = date(day);
        let file = DataFile {
            path: new_path(&date),
            bytes: content.len() as u64,
            rows: self.rows as u64,
            date,
            min_time: self.min_time,
            max_time: self.max_time,
            written: now_millis(),
        };
        Ok((file, content))
    }
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
        // Each text with what it does not share with the one before; a dictionary would be unpacked for every block.
        .set_column_dictionary_enabled(path(place::LABELS), false)
        .set_column_encoding(path(place::LABELS), Encoding::DELTA_BYTE_ARRAY)
        .set_column_dictionary_page_size_limit(path(place::TIMESTAMPS), TIMES_DICTIONARY_BYTES)
        // What is packed already; a decompressor would cost a query more than the bytes.
        .set_column_compression(path(place::TIMESTAMPS), Compression::UNCOMPRESSED)
        .set_column_compression(path(place::STARTS), Compression::UNCOMPRESSED);
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
