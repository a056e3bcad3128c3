//! Columns as they lie in files.
//!
//! Delta Lake's timestamps have microseconds; ours have nanoseconds, so files hold them as 64-bit integers, which
//! every reader of Parquet understands. In memory they are timestamps. The two forms share their bytes: going from
//! one to the other copies nothing.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StructArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampNanosecondType};
use arrow::error::ArrowError;
use deltalake::kernel::{ArrayType, DataType as DeltaType, PrimitiveType, StructField, StructType};
use tripod_storage::Signal;
use tripod_storage::schema::{Column, Kind};

/// The partition column of every table: the day of the event, UTC.
pub(crate) const DATE: &str = "date";

/// The type of a column in files.
pub(crate) fn file_type(kind: Kind) -> DataType {
    match kind {
        Kind::Time => DataType::Int64,
        Kind::Structs(columns) => {
            let fields = columns.iter().map(file_field).collect();
            DataType::List(Arc::new(Field::new("element", DataType::Struct(fields), true)))
        }
        kind => kind.data_type(),
    }
}

fn file_field(column: &Column) -> Field {
    // Nullable throughout: a table can then lose or gain a column without rewriting its files.
    Field::new(column.name, file_type(column.kind), true)
}

/// The schema of a signal's files.
pub(crate) fn file_schema(signal: Signal) -> SchemaRef {
    Arc::new(Schema::new(signal.columns().iter().map(file_field).collect::<Vec<_>>()))
}

/// Rows in the form of files, by the columns that `rows` has.
pub(crate) fn to_file_form(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    convert(rows, |field| Ok(as_type(field, &file_data_type(field.data_type()))))
}

fn file_data_type(memory: &DataType) -> DataType {
    match memory {
        DataType::Timestamp(_, _) => DataType::Int64,
        DataType::List(element) => {
            DataType::List(Arc::new(Field::new(element.name(), file_data_type(element.data_type()), true)))
        }
        DataType::Struct(fields) => DataType::Struct(
            fields.iter().map(|field| Field::new(field.name(), file_data_type(field.data_type()), true)).collect(),
        ),
        other => other.clone(),
    }
}

fn as_type(field: &Field, data_type: &DataType) -> Field {
    Field::new(field.name(), data_type.clone(), true)
}

/// Rows of a file in the form of memory: the types and nullability of the signal's schema.
pub(crate) fn to_memory_form(signal: Signal, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = signal.schema();
    convert(rows, |field| schema.field_with_name(field.name()).cloned())
}

fn convert(
    rows: &RecordBatch,
    target: impl Fn(&Field) -> Result<Field, ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    let fields: Vec<Field> = rows.schema_ref().fields().iter().map(|field| target(field)).collect::<Result<_, _>>()?;
    let arrays = rows
        .columns()
        .iter()
        .zip(&fields)
        .map(|(array, field)| reinterpret(array, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
}

fn reinterpret(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), target) {
        (DataType::Int64, DataType::Timestamp(_, zone)) => {
            let array = array.as_primitive::<Int64Type>();
            let times = TimestampNanosecondArray::new(array.values().clone(), array.nulls().cloned());
            Ok(Arc::new(times.with_timezone_opt(zone.clone())))
        }
        (DataType::Timestamp(_, _), DataType::Int64) => {
            let array = array.as_primitive::<TimestampNanosecondType>();
            Ok(Arc::new(Int64Array::new(array.values().clone(), array.nulls().cloned())))
        }
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = reinterpret(list.values(), element.data_type())?;
            let list = ListArray::try_new(Arc::clone(element), list.offsets().clone(), values, list.nulls().cloned())?;
            Ok(Arc::new(list))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let array = array.as_struct();
            let columns = array
                .columns()
                .iter()
                .zip(fields)
                .map(|(column, field)| reinterpret(column, field.data_type()))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, array.nulls().cloned())?))
        }
        (found, wanted) => Err(ArrowError::SchemaError(format!("a column holds {found} where {wanted} belongs"))),
    }
}

/// The columns of a signal's Delta table.
pub(crate) fn delta_columns(signal: Signal) -> Result<Vec<StructField>, ArrowError> {
    let mut columns = signal.columns().iter().map(delta_field).collect::<Result<Vec<_>, _>>()?;
    columns.push(StructField::new(DATE, DeltaType::Primitive(PrimitiveType::Date), true));
    Ok(columns)
}

fn delta_field(column: &Column) -> Result<StructField, ArrowError> {
    Ok(StructField::new(column.name, delta_type(column.kind)?, true))
}

fn delta_type(kind: Kind) -> Result<DeltaType, ArrowError> {
    let list = |element: DeltaType| DeltaType::Array(Box::new(ArrayType::new(element, true)));
    Ok(match kind {
        Kind::Time | Kind::Int => DeltaType::LONG,
        Kind::Double => DeltaType::DOUBLE,
        Kind::Bool => DeltaType::BOOLEAN,
        Kind::Text | Kind::Json | Kind::TraceId | Kind::SpanId => DeltaType::STRING,
        Kind::Structs(columns) => {
            let fields = columns.iter().map(delta_field).collect::<Result<Vec<_>, _>>()?;
            let fields = StructType::try_new(fields).map_err(|error| ArrowError::SchemaError(error.to_string()))?;
            list(DeltaType::Struct(Box::new(fields)))
        }
    })
}
