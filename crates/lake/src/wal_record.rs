//! Batches as records of the write-ahead log.
//!
//! A record holds the columns that have a value, by name, as one Arrow IPC record batch. So the log replays without
//! knowing the protocol that the rows came by, it holds what processors made of a request and not what they removed,
//! and a column that a later version adds is null in older records. Against the request's own bytes this costs one
//! copy of the rows (`docs/decisions/0005-write-ahead-log.md`).
//!
//! Layout, integers little-endian: 2 bytes number of columns; for each 2 bytes length and its name; 4 bytes length of
//! the IPC message; the message; the IPC body.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::reader::read_record_batch;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::ipc::{MetadataVersion, root_as_message};
use tripod_storage::{Signal, null_column};

/// The log's tag for a signal's rows; fixed for ever.
pub(crate) fn tag(signal: Signal) -> u8 {
    match signal {
        Signal::Spans => 1,
        Signal::Logs => 2,
    }
}

/// The inverse of [`tag`].
pub(crate) fn signal(tag: u8) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| self::tag(*signal) == tag)
}

/// Encodes rows; the parts of a record.
pub(crate) fn encode(rows: &RecordBatch) -> Result<Vec<Vec<u8>>, ArrowError> {
    let filled: Vec<usize> =
        (0..rows.num_columns()).filter(|index| rows.column(*index).null_count() < rows.num_rows()).collect();
    let rows = rows.project(&filled)?;
    // Eight bytes are enough for every type but views, which the reader moves when they lie badly.
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
    let (_, encoded) = IpcDataGenerator::default().encode(
        &rows,
        &mut DictionaryTracker::new(false),
        &options,
        &mut IpcWriteContext::default(),
    )?;
    let names: usize = rows.schema_ref().fields().iter().map(|field| field.name().len() + 2).sum();
    let mut head = Vec::with_capacity(6 + names + encoded.ipc_message.len());
    head.extend_from_slice(&length::<2>(filled.len())?);
    for field in rows.schema_ref().fields() {
        head.extend_from_slice(&length::<2>(field.name().len())?);
        head.extend_from_slice(field.name().as_bytes());
    }
    head.extend_from_slice(&length::<4>(encoded.ipc_message.len())?);
    head.extend_from_slice(&encoded.ipc_message);
    Ok(vec![head, encoded.arrow_data])
}

fn length<const BYTES: usize>(value: usize) -> Result<[u8; BYTES], ArrowError> {
    let bytes = (value as u64).to_le_bytes();
    if bytes[BYTES..].iter().any(|byte| *byte != 0) {
        return Err(ArrowError::IpcError(format!("a length of {value} does not fit {BYTES} bytes")));
    }
    let mut result = [0; BYTES];
    result.copy_from_slice(&bytes[..BYTES]);
    Ok(result)
}

/// Decodes rows into the columns of the signal's schema.
pub(crate) fn decode(signal: Signal, record: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut rest = record;
    let columns = take_length::<2>(&mut rest)?;
    let schema = signal.schema();
    let mut fields = Vec::new();
    for _ in 0..columns {
        let length = take_length::<2>(&mut rest)?;
        let name = std::str::from_utf8(take(&mut rest, length)?)
            .map_err(|error| ArrowError::IpcError(format!("a column's name is not UTF-8: {error}")))?;
        fields.push(schema.field_with_name(name)?.clone());
    }
    let length = take_length::<4>(&mut rest)?;
    let message = take(&mut rest, length)?;
    let message = root_as_message(message).map_err(|error| ArrowError::IpcError(error.to_string()))?;
    let header = message
        .header_as_record_batch()
        .ok_or_else(|| ArrowError::IpcError("the message is not a record batch".to_owned()))?;
    let stored = read_record_batch(
        &Buffer::from(rest),
        header,
        Arc::new(Schema::new(fields)),
        &HashMap::new(),
        None,
        &message.version(),
    )?;
    let arrays = schema
        .fields()
        .iter()
        .map(|field| match stored.column_by_name(field.name()) {
            Some(array) => Arc::clone(array),
            None => null_column(field.data_type(), stored.num_rows()),
        })
        .collect();
    RecordBatch::try_new(schema, arrays)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ArrowError> {
    let (taken, left) =
        rest.split_at_checked(length).ok_or_else(|| ArrowError::IpcError("the record is too short".to_owned()))?;
    *rest = left;
    Ok(taken)
}

fn take_length<const BYTES: usize>(rest: &mut &[u8]) -> Result<usize, ArrowError> {
    let mut bytes = [0; 8];
    bytes[..BYTES].copy_from_slice(take(rest, BYTES)?);
    Ok(u64::from_le_bytes(bytes) as usize)
}
