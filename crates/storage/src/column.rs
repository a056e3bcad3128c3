//! Column builders for rows that are mostly empty in most columns.
//!
//! A batch of spans fills perhaps 20 of 70 columns. A column therefore is told only about the rows that have a value;
//! the nulls between are filled in bulk, and a column without any value shares one block of zeros with all others.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::thread::LocalKey;

use arrow::array::{
    ArrayRef, ByteView, Int64Array, NullBufferBuilder, PrimitiveArray, StringViewArray, make_view, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType};

/// How many blocks of each kind a thread keeps for its next columns, and the largest that it keeps, in bytes.
const KEPT_BLOCKS: usize = 64;
const KEPT_BYTES: usize = 512 * 1024;
/// The most that a thread keeps of each kind in all, in bytes.
const KEPT_IN_ALL: usize = 2 * 1024 * 1024;

/// What a thread keeps.
type Kept<T> = RefCell<Vec<Vec<T>>>;

/// Elements whose blocks are used again. A column grows in the block of an earlier one and is copied to its exact size
/// at the end: that is cheaper than growing anew, in memory that the system must clear first.
pub(crate) trait Element: Copy + 'static {
    fn kept() -> &'static LocalKey<Kept<Self>>;

    /// A block that an earlier column has grown in, empty.
    fn take() -> Vec<Self> {
        Self::kept().with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// The block's content; the block is kept for the next column of this thread.
    fn settle(mut block: Vec<Self>) -> Vec<Self> {
        let content = block.as_slice().to_vec();
        block.clear();
        Self::kept().with_borrow_mut(|kept| {
            let bytes = |block: &Vec<Self>| block.capacity() * size_of::<Self>();
            let own = bytes(&block);
            if kept.len() < KEPT_BLOCKS
                && own <= KEPT_BYTES
                && own + kept.iter().map(bytes).sum::<usize>() <= KEPT_IN_ALL
            {
                kept.push(block);
            }
        });
        content
    }
}

macro_rules! elements {
    ($($element:ty),*) => {$(
        impl Element for $element {
            fn kept() -> &'static LocalKey<Kept<Self>> {
                thread_local! {
                    static KEPT: Kept<$element> = const { RefCell::new(Vec::new()) };
                }
                &KEPT
            }
        }
    )*};
}

elements!(u8, u128, i64, f64);

/// Text in one buffer; equal neighbours can share their bytes.
#[derive(Debug)]
pub(crate) struct TextColumn {
    views: Vec<u128>,
    data: Vec<u8>,
    /// The view of what was stored last.
    last: u128,
    nulls: NullBufferBuilder,
}

/// A value that a [`TextColumn`] holds already, to be repeated without copying it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredText(u128);

impl StoredText {
    /// The text, unless it is empty.
    pub(crate) fn non_empty(self) -> Option<Self> {
        (self.0 != 0).then_some(self)
    }
}

/// The longest text that a view holds inline.
const INLINE: usize = 12;

impl TextColumn {
    pub(crate) fn new() -> Self {
        Self { views: Vec::new(), data: Vec::new(), last: 0, nulls: NullBufferBuilder::new(0) }
    }

    /// Nulls up to, not including, `row`.
    fn pad(&mut self, row: usize) {
        if self.views.capacity() == 0 {
            self.views = u128::take();
        }
        let missing = row - self.views.len();
        if missing > 0 {
            self.views.resize(row, 0);
            self.nulls.append_n_nulls(missing);
        }
    }

    /// Stores text for later [`TextColumn::repeat`].
    pub(crate) fn store(&mut self, text: &str) -> StoredText {
        self.store_with(|data| data.extend_from_slice(text.as_bytes()))
    }

    /// Stores the UTF-8 text that `write` appends.
    pub(crate) fn store_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> StoredText {
        if self.data.capacity() == 0 {
            self.data = u8::take();
        }
        let start = self.data.len();
        write(&mut self.data);
        // Requests are bounded far below 4 GiB, the reach of a view's offset.
        let offset = u32::try_from(start).expect("a request's text is smaller than 4 GiB");
        let (before, text) = self.data.split_at(start);
        let last = ByteView::from(self.last);
        let length = text.len();
        // The spans of a trace, the lines of a request come together: their ids are stored once.
        let is_last =
            length > INLINE && length == last.length as usize && before[last.offset as usize..][..length] == *text;
        if !is_last {
            self.last = make_view(text, 0, offset);
        }
        if is_last || length <= INLINE {
            self.data.truncate(start);
        }
        StoredText(self.last)
    }

    /// Sets `row`; rows come in ascending order.
    pub(crate) fn set(&mut self, row: usize, text: &str) {
        let StoredText(view) = self.store(text);
        self.push(row, view);
    }

    /// Sets `row` unless the text is empty.
    pub(crate) fn set_unless_empty(&mut self, row: usize, text: &str) {
        if !text.is_empty() {
            self.set(row, text);
        }
    }

    /// Sets `row` to the UTF-8 text that `write` appends, unless it appends none.
    pub(crate) fn set_with(&mut self, row: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(StoredText(view)) = self.store_with(write).non_empty() {
            self.push(row, view);
        }
    }

    fn push(&mut self, row: usize, view: u128) {
        self.pad(row);
        self.views.push(view);
        self.nulls.append_non_null();
    }

    /// Whether `row` has its value already.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.views.len() > row
    }

    /// Sets `count` rows from `row` on to stored text.
    pub(crate) fn repeat(&mut self, row: usize, count: usize, stored: StoredText) {
        self.pad(row);
        self.views.resize(row + count, stored.0);
        self.nulls.append_n_non_nulls(count);
    }

    #[expect(unsafe_code, reason = "validating again what was written from &str costs as much as the decoding")]
    pub(crate) fn finish(mut self, rows: usize) -> ArrayRef {
        if self.views.is_empty() {
            return null_column(&DataType::Utf8View, rows);
        }
        self.pad(rows);
        let views = ScalarBuffer::from(u128::settle(self.views));
        let data = u8::settle(self.data);
        let buffers = if data.is_empty() { vec![] } else { vec![Buffer::from_vec(data)] };
        // SAFETY: every view was made by `make_view` from bytes that lie in `data` at its offset, written from `&str`
        // or by the JSON writer, which copies `&str`s and ASCII; null rows hold the empty view.
        Arc::new(unsafe { StringViewArray::new_unchecked(views, buffers, self.nulls.finish()) })
    }
}

/// A column without a value. Text and integers are made over zeros that all such columns share, so that the many empty
/// columns of a table take next to no memory.
pub fn null_column(data_type: &DataType, rows: usize) -> ArrayRef {
    const SHARED: usize = 16 * 1024;
    static ZEROS: LazyLock<Buffer> = LazyLock::new(|| Buffer::from_vec(vec![0u128; SHARED]));
    static INVALID: LazyLock<BooleanBuffer> = LazyLock::new(|| BooleanBuffer::new_unset(SHARED));
    if rows > SHARED {
        return new_null_array(data_type, rows);
    }
    let nulls = Some(NullBuffer::new(INVALID.slice(0, rows)));
    match data_type {
        DataType::Utf8View => Arc::new(StringViewArray::new(ScalarBuffer::new(ZEROS.clone(), 0, rows), vec![], nulls)),
        DataType::Int64 => Arc::new(Int64Array::new(ScalarBuffer::new(ZEROS.clone(), 0, rows), nulls)),
        other => new_null_array(other, rows),
    }
}

/// Numbers and times.
#[derive(Debug)]
pub(crate) struct NumberColumn<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType<Native: Element>> NumberColumn<T> {
    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    fn pad(&mut self, row: usize) {
        if self.values.capacity() == 0 {
            self.values = T::Native::take();
        }
        let missing = row - self.values.len();
        if missing > 0 {
            self.values.resize(row, T::Native::default());
            self.nulls.append_n_nulls(missing);
        }
    }

    /// Whether `row` has its value already.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.values.len() > row
    }

    /// Sets `row`; rows come in ascending order.
    pub(crate) fn set(&mut self, row: usize, value: T::Native) {
        self.pad(row);
        self.values.push(value);
        self.nulls.append_non_null();
    }

    /// Sets `count` rows from `row` on.
    pub(crate) fn repeat(&mut self, row: usize, count: usize, value: T::Native) {
        self.pad(row);
        self.values.resize(row + count, value);
        self.nulls.append_n_non_nulls(count);
    }

    /// The array, with the time zone or other parameters of `data_type`.
    pub(crate) fn finish(mut self, rows: usize, data_type: &DataType) -> ArrayRef {
        if self.values.is_empty() {
            return null_column(data_type, rows);
        }
        self.pad(rows);
        let values = ScalarBuffer::from(T::Native::settle(self.values));
        let array = PrimitiveArray::<T>::new(values, self.nulls.finish());
        Arc::new(array.with_data_type(data_type.clone()))
    }
}

/// Where each row's part of a flattened list ends; null for a row without one.
#[derive(Debug)]
pub(crate) struct ListOffsets {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl ListOffsets {
    pub(crate) fn new() -> Self {
        Self { offsets: vec![0], nulls: NullBufferBuilder::new(0) }
    }

    /// Ends the list of `row`, whose elements reach up to `end` of the flattened elements.
    pub(crate) fn set(&mut self, row: usize, end: usize) {
        self.pad(row);
        // As with text: a request is bounded far below this.
        self.offsets.push(i32::try_from(end).expect("a request has fewer than 2^31 list elements"));
        self.nulls.append_non_null();
    }

    fn pad(&mut self, row: usize) {
        let rows = self.offsets.len() - 1;
        if row > rows {
            let last = self.offsets[rows];
            self.offsets.resize(row + 1, last);
            self.nulls.append_n_nulls(row - rows);
        }
    }

    /// The list array over its flattened elements.
    pub(crate) fn finish(mut self, rows: usize, data_type: &DataType, elements: ArrayRef) -> ArrayRef {
        self.pad(rows);
        let DataType::List(field) = data_type else { unreachable!("list columns have list types") };
        let offsets = arrow::buffer::OffsetBuffer::new(self.offsets.into());
        Arc::new(arrow::array::ListArray::new(Arc::clone(field), offsets, elements, self.nulls.finish()))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn a_text_that_is_the_one_before_is_stored_once() {
        let mut column = TextColumn::new();
        let long = ["the id of a request", "the id of a request", "the id of another 1", "the id of a request"];
        let texts = [long[0], long[1], "short", "short", long[1], long[2], long[2], long[3]];
        for (row, text) in texts.iter().enumerate() {
            column.set(2 * row, text);
        }
        let array = column.finish(2 * texts.len());
        let array = array.as_string_view();
        let found: Vec<_> = array.iter().collect();
        let expected: Vec<_> = texts.iter().flat_map(|text| [Some(*text), None]).collect();
        assert_eq!(found, expected);
        // A short text lies in its view; it parts a long one from itself.
        let stored = [long[0], long[1], long[2], long[3]].concat();
        assert_eq!(array.data_buffers()[0].as_slice(), stored.as_bytes());
    }
}
