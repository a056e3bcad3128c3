//! Where the rows of a trace lie in a data file.
//!
//! A file is sorted by service, so a trace's rows lie in several row groups. A bloom filter says which of them may hold
//! it, but each must then have all its ids decoded. The index says which part of a row group, and for one lookup among
//! thousands wrongly. Turned down: an entry for each row (three times the bytes), files beside the data files (one more
//! thing to commit, copy and delete).
//!
//! The index lies inside the Parquet file, between its row groups and its footer, where readers that do not know it never
//! look; the footer's key-value metadata says where (`tripod.trace_index` = `offset length`).
//!
//! ```text
//! "TRI1" · varint groups · group … · CRC32C of all before, 4 bytes, little endian
//! group: varint rows · varint columns · a bit for each root column that holds a value
//!        · varint entries · varint difference to the entry before …
//! entry: 24 bits of the id's hash (SipHash 1-3, zero key) · 3 bits: the row's number in its group / 4,096
//! ```

use arrow::array::{Array, AsArray, RecordBatch};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use siphasher::sip::SipHasher13;
use tripod_storage::Signal;
use tripod_storage::schema::Kind;

use crate::LakeError;
use crate::data_file::ROW_GROUP_ROWS;

/// The column that is indexed.
const COLUMN: &str = "trace_id";
/// The key of the footer's metadata.
const KEY: &str = "tripod.trace_index";
const MAGIC: &[u8; 4] = b"TRI1";
const CHECKSUM_BYTES: usize = 4;
/// A row group has this many parts.
const PARTS: usize = 8;
const PART_BITS: u32 = PARTS.ilog2();
const HASH_BITS: u32 = 24;
/// Rows of a part.
pub(crate) const PART_ROWS: usize = ROW_GROUP_ROWS / PARTS;

/// Whether a column is looked up by the index.
pub(crate) fn is_indexed(signal: Signal, column: &str) -> bool {
    column == COLUMN && signal.column(column).is_some_and(|column| column.kind == Kind::TraceId)
}

/// The index of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TraceIndex {
    groups: Vec<Group>,
}

/// The index of one row group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    rows: usize,
    /// For each root column whether a row has a value; empty when that is not known.
    filled: Vec<bool>,
    /// Hash and part, ascending.
    entries: Vec<u32>,
}

/// A row group that may hold a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) group: usize,
    /// A bit for each part that may hold the trace.
    pub(crate) parts: u8,
}

fn hash(id: &str) -> u32 {
    (SipHasher13::new().hash(id.as_bytes()) >> (64 - HASH_BITS)) as u32
}

impl TraceIndex {
    /// The row groups that may hold rows of these traces; every one that does is among them.
    pub(crate) fn find<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Vec<Hit> {
        let hashes: Vec<u32> = ids.into_iter().map(hash).collect();
        let hits = self.groups.iter().enumerate().map(|(number, group)| {
            let parts = hashes.iter().fold(0, |parts, hash| parts | group.parts(*hash));
            Hit { group: number, parts }
        });
        hits.filter(|hit| hit.parts != 0).collect()
    }

    /// Whether any row of the group has a value in the root column.
    pub(crate) fn is_filled(&self, group: usize, column: usize) -> bool {
        self.groups.get(group).and_then(|group| group.filled.get(column)).copied().unwrap_or(true)
    }

    /// What it takes in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        let group = |group: &Group| size_of::<Group>() + group.filled.len() + size_of_val(group.entries.as_slice());
        self.groups.iter().map(group).sum()
    }

    /// Adds the groups of another file, whose row groups follow.
    pub(crate) fn extend(&mut self, other: Self) {
        self.groups.extend(other.groups);
    }

    /// Where a file's footer says that its index is, if it has one.
    pub(crate) fn place(metadata: &ParquetMetaData) -> Option<std::ops::Range<u64>> {
        let pairs = metadata.file_metadata().key_value_metadata()?;
        let place = pairs.iter().find(|pair| pair.key == KEY)?.value.as_deref()?;
        let (offset, length) = place.split_once(' ')?;
        let offset: u64 = offset.parse().ok()?;
        Some(offset..offset.checked_add(length.parse().ok()?)?)
    }

    /// The metadata of a footer that says where the index is.
    pub(crate) fn key_value(offset: usize, length: usize) -> KeyValue {
        KeyValue::new(KEY.to_owned(), format!("{offset} {length}"))
    }

    /// Whether a pair of a footer's metadata is what [`TraceIndex::key_value`] gives.
    pub(crate) fn is_key_value(pair: &KeyValue) -> bool {
        pair.key == KEY
    }

    /// The index that a file holds, or, when it holds none, one made from its rows.
    pub(crate) fn of_file(content: &Bytes, metadata: &ParquetMetaData) -> Result<Self, LakeError> {
        let stored = Self::place(metadata).and_then(|place| {
            let (start, end) = (usize::try_from(place.start).ok()?, usize::try_from(place.end).ok()?);
            Self::decode(content.get(start..end)?, metadata)
        });
        if let Some(stored) = stored {
            return Ok(stored);
        }
        let mut builder = IndexBuilder::default();
        for group in 0..metadata.num_row_groups() {
            let reader = ParquetRecordBatchReaderBuilder::try_new(content.clone())?;
            let ids = ProjectionMask::columns(reader.parquet_schema(), [COLUMN]);
            for rows in reader.with_row_groups(vec![group]).with_projection(ids).build()? {
                builder.push_rows(&rows?);
            }
            builder.end_group();
        }
        Ok(builder.finish())
    }

    /// The bytes that are stored.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_varint(&mut out, self.groups.len());
        for group in &self.groups {
            put_varint(&mut out, group.rows);
            put_varint(&mut out, group.filled.len());
            let bits = |filled: &[bool]| filled.iter().rev().fold(0, |bits, filled| bits << 1 | u8::from(*filled));
            out.extend(group.filled.chunks(8).map(bits));
            put_varint(&mut out, group.entries.len());
            let mut before = 0;
            for entry in &group.entries {
                put_varint(&mut out, (entry - before) as usize);
                before = *entry;
            }
        }
        let checksum = crc32c::crc32c(&out);
        out.extend(checksum.to_le_bytes());
        out
    }

    /// Reads what [`TraceIndex::encode`] wrote; nothing when it is damaged or not that of a file with this footer.
    pub(crate) fn decode(bytes: &[u8], metadata: &ParquetMetaData) -> Option<Self> {
        let index = Self::parse(bytes)?;
        let rows = metadata.row_groups().iter().map(|group| group.num_rows() as usize);
        index.groups.iter().map(|group| group.rows).eq(rows).then_some(index)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut input = body.strip_prefix(MAGIC)?;
        let count = take_varint(&mut input)?;
        let mut groups = Vec::new();
        for _ in 0..count {
            groups.push(Group::parse(&mut input)?);
        }
        input.is_empty().then_some(Self { groups })
    }
}

impl Group {
    fn parts(&self, hash: u32) -> u8 {
        let first = self.entries.partition_point(|entry| entry >> PART_BITS < hash);
        let same = self.entries[first..].iter().take_while(|entry| *entry >> PART_BITS == hash);
        same.fold(0, |parts, entry| parts | 1 << (*entry as usize % PARTS))
    }

    /// Every count is checked against what is left of the input before memory is taken for it.
    fn parse(input: &mut &[u8]) -> Option<Self> {
        let rows = take_varint(input).filter(|rows| *rows <= ROW_GROUP_ROWS)?;
        let columns = take_varint(input)?;
        let bits;
        (bits, *input) = input.split_at_checked(columns.div_ceil(8))?;
        let filled = (0..columns).map(|column| bits[column / 8] >> (column % 8) & 1 == 1).collect();
        let count = take_varint(input).filter(|count| *count <= input.len())?;
        let mut entries = Vec::with_capacity(count);
        let mut before = 0_usize;
        for _ in 0..count {
            before = before.checked_add(take_varint(input)?)?;
            entries.push(u32::try_from(before).ok()?);
        }
        Some(Self { rows, filled, entries })
    }
}

/// Gathers the index of a file while it is written.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    index: TraceIndex,
    current: Group,
}

impl IndexBuilder {
    /// Takes all columns of the next rows; they must have the indexed one.
    pub(crate) fn push(&mut self, rows: &RecordBatch) {
        let mut start = 0;
        while start < rows.num_rows() {
            let length = (ROW_GROUP_ROWS - self.current.rows).min(rows.num_rows() - start);
            let part = rows.slice(start, length);
            self.current.filled.resize(part.num_columns(), false);
            for (filled, column) in self.current.filled.iter_mut().zip(part.columns()) {
                *filled |= column.null_count() < column.len();
            }
            self.push_rows(&part);
            start += length;
        }
    }

    /// Takes ids of rows, not more than the row group has room for.
    fn push_rows(&mut self, rows: &RecordBatch) {
        let group = &mut self.current;
        if let Some(ids) = rows.column_by_name(COLUMN).and_then(|ids| ids.as_string_view_opt()) {
            let mut last = None;
            for (row, id) in ids.iter().enumerate().filter_map(|(row, id)| Some((row, id?))) {
                let part = (group.rows + row) / PART_ROWS;
                // The rows of a trace lie side by side.
                if last != Some((part, id)) {
                    group.entries.push(hash(id) << PART_BITS | (part % PARTS) as u32);
                    last = Some((part, id));
                }
            }
        }
        group.rows += rows.num_rows();
        if group.rows >= ROW_GROUP_ROWS {
            self.end_group();
        }
    }

    fn end_group(&mut self) {
        if self.current.rows > 0 {
            let mut group = std::mem::take(&mut self.current);
            group.entries.sort_unstable();
            group.entries.dedup();
            group.entries.shrink_to_fit();
            self.index.groups.push(group);
        }
    }

    pub(crate) fn finish(mut self) -> TraceIndex {
        self.end_group();
        self.index
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A varint of at most 35 bits, more than any number here needs.
fn take_varint(input: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte;
        (byte, *input) = input.split_first()?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringViewArray};
    use proptest::prelude::*;

    use super::*;

    /// Builds from batches of (id, a second column's value).
    fn build(batches: &[Vec<(Option<String>, Option<&str>)>]) -> TraceIndex {
        let mut builder = IndexBuilder::default();
        for batch in batches {
            let ids: ArrayRef = Arc::new(StringViewArray::from_iter(batch.iter().map(|(id, _)| id.as_deref())));
            let other: ArrayRef = Arc::new(StringViewArray::from_iter(batch.iter().map(|(_, other)| *other)));
            builder.push(&RecordBatch::try_from_iter([(COLUMN, ids), ("other", other)]).unwrap());
        }
        builder.finish()
    }

    fn id(number: usize) -> String {
        format!("{number:032x}")
    }

    #[test]
    fn a_row_is_found_in_its_group_and_part_whatever_the_batches() {
        let rows = ROW_GROUP_ROWS + PART_ROWS + 1;
        let all: Vec<_> = (0..rows).map(|row| (Some(id(row / 3)), None)).collect();
        let batches: Vec<_> = all.chunks(10_007).map(<[_]>::to_vec).collect();
        let index = build(&batches);
        assert_eq!(index.groups.iter().map(|group| group.rows).collect::<Vec<_>>(), [ROW_GROUP_ROWS, PART_ROWS + 1]);
        let mut false_hits = 0;
        for row in 0..rows {
            let hits = index.find([id(row / 3).as_str()]);
            let hit = hits.iter().find(|hit| hit.group == row / ROW_GROUP_ROWS).unwrap();
            assert_ne!(hit.parts & 1 << (row % ROW_GROUP_ROWS / PART_ROWS), 0, "{row}");
            false_hits += hits.len() - 1;
        }
        assert!(false_hits < 100, "{false_hits}");
        assert_eq!(index.find([]), []);
    }

    #[test]
    fn columns_without_a_value_and_rows_without_an_id_are_known() {
        let index = build(&[vec![(None, None)], vec![(Some(id(7)), None)]]);
        assert!(index.is_filled(0, 0));
        assert!(!index.is_filled(0, 1));
        // What is not known may hold something.
        assert!(index.is_filled(0, 2) && index.is_filled(1, 0));
        assert_eq!(index.find([id(7).as_str()]), [Hit { group: 0, parts: 1 }]);
        assert_eq!(index.find([""]), []);
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(
            batches in prop::collection::vec(
                prop::collection::vec((prop::option::of("[0-9a-f]{1,32}"), prop::option::of(Just("x"))), 0..50),
                0..5,
            ),
        ) {
            let index = build(&batches);
            prop_assert_eq!(TraceIndex::parse(&index.encode()), Some(index));
        }

        #[test]
        fn damage_is_noticed(flip in 0_usize..1000, cut in 0_usize..1000) {
            let bytes = build(&[(0..40).map(|row| (Some(id(row)), None)).collect()]).encode();
            let mut flipped = bytes.clone();
            flipped[flip % bytes.len()] ^= 1 << (flip % 8);
            prop_assert_eq!(TraceIndex::parse(&flipped), None);
            prop_assert_eq!(TraceIndex::parse(&bytes[..cut % bytes.len()]), None);
        }

        #[test]
        fn any_bytes_are_refused_or_read(body in prop::collection::vec(any::<u8>(), 0..200)) {
            // With a good checksum, so that what is behind it is reached.
            let mut bytes = [MAGIC.as_slice(), &body].concat();
            bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
            if let Some(index) = TraceIndex::parse(&bytes) {
                index.find(["a"]);
                prop_assert!(index.memory_bytes() < 100 * bytes.len());
            }
        }
    }
}
