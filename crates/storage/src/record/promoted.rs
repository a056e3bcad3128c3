//! Well-known attributes and the columns that are theirs.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Int64Type};
use tripod_model::{Attribute, Value};

use crate::column::{NumberColumn, StoredText, TextColumn};
use crate::schema::{Column, Kind};

/// Finds the promoted column of an attribute key. Keys are told apart by their length first, which for attribute
/// keys leaves two or three candidates.
#[derive(Debug)]
pub(super) struct PromotedIndex {
    by_length: Vec<Vec<(&'static str, usize)>>,
    kinds: Vec<Kind>,
}

impl PromotedIndex {
    pub(super) fn new(columns: &'static [Column]) -> Self {
        let mut by_length = Vec::new();
        let mut kinds = Vec::new();
        for column in columns {
            let Some(key) = column.promoted else { continue };
            if by_length.len() <= key.len() {
                by_length.resize(key.len() + 1, Vec::new());
            }
            by_length[key.len()].push((key, kinds.len()));
            kinds.push(column.kind);
        }
        Self { by_length, kinds }
    }

    /// The kinds of the promoted columns, in order.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.kinds.iter().copied()
    }

    pub(super) fn find(&self, key: &str) -> Option<usize> {
        let candidates = self.by_length.get(key.len())?;
        candidates.iter().find(|(name, _)| *name == key).map(|(_, index)| *index)
    }
}

/// The promoted columns of a table under construction, in the order of its schema.
#[derive(Debug)]
pub(super) struct PromotedColumns {
    index: &'static PromotedIndex,
    columns: Vec<PromotedColumn>,
}

#[derive(Debug)]
enum PromotedColumn {
    Text(TextColumn),
    Int(NumberColumn<Int64Type>),
}

impl PromotedColumns {
    pub(super) fn new(index: &'static PromotedIndex) -> Self {
        let columns = index
            .kinds
            .iter()
            .map(|kind| match kind {
                Kind::Text => PromotedColumn::Text(TextColumn::new()),
                Kind::Int => PromotedColumn::Int(NumberColumn::new()),
                kind => unreachable!("no attribute is promoted to {kind:?}"),
            })
            .collect();
        Self { index, columns }
    }

    /// Takes an attribute if it has a column of its type that the row has not filled yet.
    pub(super) fn set(&mut self, row: usize, attribute: &Attribute<'_>) -> bool {
        let Some(index) = self.index.find(&attribute.key) else { return false };
        match (&mut self.columns[index], &attribute.value) {
            (PromotedColumn::Text(column), Value::Str(text)) if !column.has(row) => column.set(row, text),
            (PromotedColumn::Int(column), Value::Int(value)) if !column.has(row) => column.set(row, *value),
            _ => return false,
        }
        true
    }

    /// Stores text for later [`PromotedColumns::imply`] in the text column of this key.
    pub(super) fn store(&mut self, key: &str, text: &str) -> Option<StoredText> {
        match &mut self.columns[self.index.find(key)?] {
            PromotedColumn::Text(column) => Some(column.store(text)),
            PromotedColumn::Int(_) => None,
        }
    }

    /// Fills the text column of this key, if the row has no value there yet.
    pub(super) fn imply(&mut self, row: usize, key: &str, text: StoredText) {
        if let Some(PromotedColumn::Text(column)) = self.index.find(key).map(|index| &mut self.columns[index])
            && !column.has(row)
        {
            column.repeat(row, 1, text);
        }
    }

    pub(super) fn finish(self, rows: usize) -> impl Iterator<Item = ArrayRef> {
        self.columns.into_iter().map(move |column| match column {
            PromotedColumn::Text(column) => column.finish(rows),
            PromotedColumn::Int(column) => column.finish(rows, &DataType::Int64),
        })
    }
}

/// Writes the attributes of a row: the promoted to their columns, the rest as JSON, or null when none is left. What
/// `stays` goes to the JSON although it has a column.
pub(super) fn set_attributes(
    row: usize,
    attributes: &[Attribute<'_>],
    mut stays: impl FnMut(&Attribute<'_>) -> bool,
    promoted: &mut PromotedColumns,
    json: &mut TextColumn,
) {
    json.set_with(row, |out| {
        let start = out.len();
        for attribute in attributes {
            if !stays(attribute) && promoted.set(row, attribute) {
                continue;
            }
            out.push(if out.len() == start { b'{' } else { b',' });
            crate::attribute_json::write_member(attribute, false, out);
        }
        if out.len() > start {
            out.push(b'}');
        }
    });
}

/// Writes attributes of which none is promoted, or null when there are none.
pub(super) fn set_json(row: usize, attributes: &[Attribute<'_>], json: &mut TextColumn) {
    if !attributes.is_empty() {
        json.set_with(row, |out| crate::attribute_json::write_attributes(attributes, out));
    }
}
