//! Records to rows and back.
//!
//! [`SpanRows`] and [`LogRows`] are the sinks that receivers decode into; each turns the records of one request into a
//! [`Batch`]. [`read_spans`] and [`read_logs`] are their inverse, for query APIs that answer in records. What a record cannot be kept for is counted in [`Rejections`] and the rest is kept.

mod context;
mod logs;
mod promoted;
mod read;
mod spans;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StructArray};
use arrow::datatypes::DataType;

use crate::{Batch, Signal};

pub use logs::{LogRows, read_logs};
pub use spans::{SpanRows, read_spans};

use tripod_model::{Resource, Scope};

/// A record with the context that it was sent in.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<'a, R> {
    /// What produced it.
    pub resource: Resource<'a>,
    /// The library that recorded it.
    pub scope: Scope<'a>,
    /// The record itself.
    pub record: R,
}

/// Records that were read well but cannot be kept, by a rule of the protocol or the bounds of the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    /// How many.
    pub count: u64,
    /// Why the first of them was, in words for the sender.
    pub first: Option<String>,
}

impl Rejections {
    fn add(&mut self, reason: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(reason());
        }
    }
}

/// A time of the wire as the tables' signed integer.
fn nanos(field: &str, value: u64) -> Result<i64, String> {
    i64::try_from(value).map_err(|_| format!("{field} {value} lies after the year 2262"))
}

fn batch(signal: Signal, arrays: Vec<ArrayRef>) -> Batch {
    let rows = RecordBatch::try_new(signal.schema(), arrays).expect("builders fill the schema's columns in order");
    Batch { signal, rows }
}

fn column_type(signal: Signal, name: &str) -> DataType {
    signal.column(name).expect("builders name columns of their signal").kind.data_type()
}

fn struct_array(list: &DataType, arrays: Vec<ArrayRef>) -> ArrayRef {
    let DataType::List(element) = list else { unreachable!("struct columns are lists") };
    let DataType::Struct(fields) = element.data_type() else { unreachable!("of structs") };
    Arc::new(StructArray::new(fields.clone(), arrays, None))
}
