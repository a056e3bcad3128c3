//! The columns of each signal: the one place where they are named, typed and described.
//!
//! The registry below gives the Arrow schema, the builders' promoted attributes and the documentation in
//! `docs/tables.md` (a test says when that is stale). Well-known attributes are *promoted*: they have a column of
//! their own whose name is the attribute's key with `_` for `.`, and they leave the JSON column when their type is
//! the column's type. Everything else stays in the JSON column with its type
//! (`docs/decisions/0004-attributes-as-json.md`).
//!
//! Types are those that Delta Lake knows: no unsigned integers, no dictionaries. Nanosecond timestamps are 64-bit
//! integers in files and `Timestamp(Nanosecond, "UTC")` in memory.

mod context;
mod document;
mod logs;
mod spans;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

pub(crate) use context::{RESOURCE, SCOPE};
pub use document::document;

/// The kinds of telemetry that are rows, each with a table. Metrics are none: see [`crate::series`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans of traces.
    Spans,
    /// Log records and events.
    Logs,
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The column's name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether a row may lack it.
    pub nullable: bool,
    /// The attribute key that is promoted to this column, if it is such a column.
    pub promoted: Option<&'static str>,
    /// Meaning and unit.
    pub doc: &'static str,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nanoseconds since the Unix epoch, UTC.
    Time,
    /// A signed 64-bit integer.
    Int,
    /// A 64-bit float.
    Double,
    /// A truth value.
    Bool,
    /// UTF-8 text.
    Text,
    /// Attributes as JSON text (see [`crate::write_attributes`]).
    Json,
    /// A trace id as 32 lower-case hexadecimal digits.
    TraceId,
    /// A span id as 16 lower-case hexadecimal digits.
    SpanId,
    /// A list of structs with these fields.
    Structs(&'static [Column]),
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind
    }
}

impl Eq for Column {}

impl Column {
    pub(crate) const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, nullable: false, promoted: None, doc }
    }

    pub(crate) const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, nullable: true, promoted: None, doc }
    }

    pub(crate) const fn promoted(key: &'static str, name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, nullable: true, promoted: Some(key), doc }
    }

    fn field(&self) -> Field {
        Field::new(self.name, self.kind.data_type(), self.nullable)
    }
}

impl Kind {
    /// The Arrow type in memory.
    pub fn data_type(&self) -> DataType {
        match self {
            Kind::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Kind::Int => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::Bool => DataType::Boolean,
            Kind::Text | Kind::Json | Kind::TraceId | Kind::SpanId => DataType::Utf8View,
            Kind::Structs(columns) => {
                let fields: Fields = columns.iter().map(Column::field).collect();
                DataType::List(Arc::new(Field::new("element", DataType::Struct(fields), false)))
            }
        }
    }
}

struct Table {
    name: &'static str,
    time_column: &'static str,
    columns: Vec<Column>,
    schema: SchemaRef,
}

impl Table {
    fn new(name: &'static str, time_column: &'static str, parts: &[&[Column]]) -> Self {
        let columns = parts.concat();
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        Self { name, time_column, columns, schema }
    }
}

static SPANS: LazyLock<Table> = LazyLock::new(|| Table::new("spans", "start_time", &[spans::COLUMNS, SCOPE, RESOURCE]));
static LOGS: LazyLock<Table> = LazyLock::new(|| Table::new("logs", "time", &[logs::COLUMNS, SCOPE, RESOURCE]));

impl Signal {
    /// All signals.
    pub const ALL: [Self; 2] = [Self::Spans, Self::Logs];

    fn definition(self) -> &'static Table {
        match self {
            Self::Spans => &SPANS,
            Self::Logs => &LOGS,
        }
    }

    /// The table's name in SQL and on disk.
    pub fn table(self) -> &'static str {
        self.definition().name
    }

    /// The column of event time, by which ranges are selected.
    pub fn time_column(self) -> &'static str {
        self.definition().time_column
    }

    /// Every column in order.
    pub fn columns(self) -> &'static [Column] {
        &self.definition().columns
    }

    /// The columns before those of scope and resource, which all signals share.
    pub fn own_columns(self) -> &'static [Column] {
        match self {
            Self::Spans => spans::COLUMNS,
            Self::Logs => logs::COLUMNS,
        }
    }

    /// The column of this name.
    pub fn column(self, name: &str) -> Option<&'static Column> {
        self.columns().iter().find(|column| column.name == name)
    }

    /// The columns as an Arrow schema.
    pub fn schema(self) -> SchemaRef {
        Arc::clone(&self.definition().schema)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table())
    }
}

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|signal| signal.table() == text)
            .ok_or_else(|| format!("\"{text}\" is no signal; there are spans and logs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_promoted_names_follow_the_rule() {
        for signal in Signal::ALL {
            let mut names: Vec<_> = signal.columns().iter().map(|column| column.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{signal}");
            for column in signal.columns() {
                if let Some(key) = column.promoted {
                    assert_eq!(column.name, key.replace('.', "_"));
                }
                assert!(!column.doc.is_empty(), "{} is undocumented", column.name);
            }
            assert_eq!(signal.table().parse(), Ok(signal));
            assert!(signal.column(signal.time_column()).is_some_and(|column| column.kind == Kind::Time));
        }
    }
}
