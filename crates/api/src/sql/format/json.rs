//! JSON documents and JSON Lines.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;

use super::value::{Nullable, type_name};
use tripod_storage::write_text;

/// `{"columns":[…],"rows":[`.
pub(super) fn head(schema: &Schema) -> Vec<u8> {
    let mut out = b"{\"columns\":[".to_vec();
    for (index, field) in schema.fields().iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
        write_text(field.name(), &mut out);
        out.extend_from_slice(b",\"type\":");
        write_text(&type_name(field), &mut out);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"rows\":[");
    out
}

/// The rows of a batch as arrays; `any` says whether rows came before.
pub(super) fn rows(rows: &RecordBatch, any: &mut bool, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let columns = columns(rows)?;
    for row in 0..rows.num_rows() {
        if *any {
            out.push(b',');
        }
        *any = true;
        out.extend_from_slice(b"\n[");
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            column.write(row, out)?;
        }
        out.push(b']');
    }
    Ok(())
}

pub(super) fn columns(rows: &RecordBatch) -> Result<Vec<Nullable<'_>>, ArrowError> {
    let schema = rows.schema_ref();
    schema.fields().iter().zip(rows.columns()).map(|(field, array)| Nullable::new(field, array)).collect()
}

/// An object a line; null members are written, so that every line has every member.
pub(in crate::sql) struct LineWriter {
    /// For each column, what stands before its value.
    prefixes: Vec<Vec<u8>>,
}

impl LineWriter {
    pub(super) fn new(schema: &Schema) -> Self {
        let prefix = |(index, field): (usize, &std::sync::Arc<arrow::datatypes::Field>)| {
            let mut prefix = vec![if index == 0 { b'{' } else { b',' }];
            write_text(field.name(), &mut prefix);
            prefix.push(b':');
            prefix
        };
        Self { prefixes: schema.fields().iter().enumerate().map(prefix).collect() }
    }

    pub(super) fn rows(&self, rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let columns = columns(rows)?;
        let mut out = Vec::new();
        for row in 0..rows.num_rows() {
            for (prefix, column) in self.prefixes.iter().zip(&columns) {
                out.extend_from_slice(prefix);
                column.write(row, &mut out)?;
            }
            out.extend_from_slice(if columns.is_empty() { b"{}\n" } else { b"}\n" });
        }
        Ok(out)
    }
}
