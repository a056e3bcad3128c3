//! CSV by RFC 4180, with `\n` between lines. A null is an empty field, an empty text is `""`.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;

use super::json::columns;

pub(super) fn header(schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let start = out.len();
        out.extend_from_slice(field.name().as_bytes());
        quote(start, &mut out);
    }
    out.push(b'\n');
    out
}

pub(super) fn rows(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let columns = columns(rows)?;
    for row in 0..rows.num_rows() {
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if !column.is_null(row) {
                let start = out.len();
                column.write_plain(row, out)?;
                quote(start, out);
            }
        }
        out.push(b'\n');
    }
    Ok(())
}

/// Puts the field that begins at `start` in quotes if it needs them.
fn quote(start: usize, out: &mut Vec<u8>) {
    let field = &out[start..];
    if !field.is_empty() && !field.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        return;
    }
    let field = field.to_vec();
    out.truncate(start);
    out.push(b'"');
    for byte in field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
