//! One value as JSON.

use std::fmt::Write as _;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, StructArray};
use arrow::datatypes::{
    DataType, Date32Type, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use tripod_storage::write_text;

/// The name of a column's type in answers.
pub(super) fn type_name(field: &Field) -> String {
    if is_json(field) {
        return "json".to_owned();
    }
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Int64 | DataType::UInt64 | DataType::UInt32 => "bigint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int16 | DataType::Int8 | DataType::UInt8 => "smallint",
        DataType::Float64 => "double",
        DataType::Float32 | DataType::Float16 => "real",
        DataType::Boolean => "boolean",
        DataType::Timestamp(..) => "timestamp",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytes",
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            "numeric"
        }
        DataType::Null => "null",
        DataType::Dictionary(_, values) => return type_name(&Field::new("", values.as_ref().clone(), true)),
        _ => "json",
    }
    .to_owned()
}

/// Whether a text field holds JSON, by Arrow's canonical extension type.
fn is_json(field: &Field) -> bool {
    field.metadata().get("ARROW:extension:name").is_some_and(|name| name == "arrow.json")
}

/// Writes the values of one array as JSON. The type is looked at once an array, not once a value.
pub(super) enum ValueWriter<'a> {
    Null,
    Bool(&'a arrow::array::BooleanArray),
    Int(&'a [i64]),
    Double(&'a [f64]),
    TextView(&'a arrow::array::StringViewArray),
    Text(&'a arrow::array::StringArray),
    /// JSON text as it is.
    Json(Box<ValueWriter<'a>>),
    Time(&'a [i64], i64),
    /// Any other integer type.
    OtherInt(Box<dyn Fn(usize) -> i128 + 'a>),
    Real(&'a [f32]),
    Date(&'a [i32]),
    List(Box<dyn Fn(usize) -> (usize, usize) + 'a>, Box<Nullable<'a>>),
    Struct(&'a StructArray, Vec<Nullable<'a>>),
    Map(Box<dyn Fn(usize) -> (usize, usize) + 'a>, Box<Nullable<'a>>, Box<Nullable<'a>>),
    Dictionary(Box<dyn Fn(usize) -> usize + 'a>, Box<Nullable<'a>>),
    /// A type without a form of its own in JSON, as text; numbers as they print when `true`.
    Printed(ArrayFormatter<'a>, bool),
}

/// A [`ValueWriter`] with the array's nulls.
pub(super) struct Nullable<'a> {
    array: &'a dyn Array,
    nullable: bool,
    writer: ValueWriter<'a>,
}

impl<'a> Nullable<'a> {
    pub(super) fn new(field: &Field, array: &'a ArrayRef) -> Result<Self, ArrowError> {
        let writer = ValueWriter::new(array)?;
        let writer = if is_json(field) { ValueWriter::Json(Box::new(writer)) } else { writer };
        Ok(Self { array: array.as_ref(), nullable: array.is_nullable(), writer })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nullable && self.array.is_null(row) || matches!(self.writer, ValueWriter::Null)
    }

    /// Appends the value of a row, `null` when there is none.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        self.writer.write(row, out)
    }

    /// Appends a value that is not null as plain text: what JSON would put in quotes comes without them.
    pub(super) fn write_plain(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        match &self.writer {
            ValueWriter::TextView(array) => out.extend_from_slice(array.value(row).as_bytes()),
            ValueWriter::Text(array) => out.extend_from_slice(array.value(row).as_bytes()),
            ValueWriter::Printed(formatter, _) => print(formatter, row, out)?,
            writer => {
                let start = out.len();
                writer.write(row, out)?;
                // Quotes around a time or a float that is not finite; neither needs escapes.
                if out.len() >= start + 2 && out[start] == b'"' && out.last() == Some(&b'"') {
                    out.pop();
                    out.remove(start);
                }
            }
        }
        Ok(())
    }
}

impl<'a> ValueWriter<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self, ArrowError> {
        macro_rules! integers {
            ($type:ty) => {{
                let values = array.as_primitive::<$type>().values();
                Self::OtherInt(Box::new(move |row| i128::from(values[row])))
            }};
        }
        Ok(match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool(array.as_boolean()),
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>().values()),
            DataType::Float64 => Self::Double(array.as_primitive::<Float64Type>().values()),
            DataType::Utf8View => Self::TextView(array.as_string_view()),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Nanosecond => Self::Time(array.as_primitive::<TimestampNanosecondType>().values(), 1),
                TimeUnit::Microsecond => Self::Time(array.as_primitive::<TimestampMicrosecondType>().values(), 1_000),
                TimeUnit::Millisecond => {
                    Self::Time(array.as_primitive::<TimestampMillisecondType>().values(), 1_000_000)
                }
                TimeUnit::Second => Self::Time(array.as_primitive::<TimestampSecondType>().values(), 1_000_000_000),
            },
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::UInt8 => integers!(UInt8Type),
            DataType::UInt16 => integers!(UInt16Type),
            DataType::UInt32 => integers!(UInt32Type),
            DataType::UInt64 => integers!(UInt64Type),
            DataType::Float32 => Self::Real(array.as_primitive::<Float32Type>().values()),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>().values()),
            DataType::List(field) => {
                let list = array.as_list::<i32>();
                let offsets = list.value_offsets();
                let range = move |row: usize| (offsets[row] as usize, offsets[row + 1] as usize);
                Self::List(Box::new(range), Box::new(Nullable::new(field, list.values())?))
            }
            DataType::LargeList(field) => {
                let list = array.as_list::<i64>();
                let offsets = list.value_offsets();
                let range = move |row: usize| (offsets[row] as usize, offsets[row + 1] as usize);
                Self::List(Box::new(range), Box::new(Nullable::new(field, list.values())?))
            }
            DataType::FixedSizeList(field, size) => {
                let list = array.as_fixed_size_list();
                let size = *size as usize;
                let range = move |row: usize| (row * size, row * size + size);
                Self::List(Box::new(range), Box::new(Nullable::new(field, list.values())?))
            }
            DataType::Struct(fields) => {
                let structs = array.as_struct();
                let members = fields.iter().zip(structs.columns());
                Self::Struct(
                    structs,
                    members.map(|(field, array)| Nullable::new(field, array)).collect::<Result<_, _>>()?,
                )
            }
            DataType::Map(entries, _) => {
                let map = array.as_map();
                let offsets = map.value_offsets();
                let range = move |row: usize| (offsets[row] as usize, offsets[row + 1] as usize);
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(ArrowError::SchemaError("a map's entries are no structs".to_owned()));
                };
                let keys = Nullable::new(&fields[0], map.keys())?;
                Self::Map(Box::new(range), Box::new(keys), Box::new(Nullable::new(&fields[1], map.values())?))
            }
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let keys = dictionary.normalized_keys();
                let values =
                    Nullable::new(&Field::new("", dictionary.values().data_type().clone(), true), dictionary.values())?;
                Self::Dictionary(Box::new(move |row| keys[row]), Box::new(values))
            }
            data_type => {
                let options = FormatOptions::default().with_display_error(false);
                Self::Printed(ArrayFormatter::try_new(array.as_ref(), &options)?, data_type.is_decimal())
            }
        })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::Int(values) => out.extend_from_slice(itoa::Buffer::new().format(values[row]).as_bytes()),
            Self::OtherInt(value) => out.extend_from_slice(itoa::Buffer::new().format(value(row)).as_bytes()),
            Self::Double(values) => write_double(values[row], out),
            Self::Real(values) => match values[row].is_finite() {
                true => out.extend_from_slice(zmij::Buffer::new().format_finite(values[row]).as_bytes()),
                false => write_double(values[row].into(), out),
            },
            Self::TextView(array) => write_text(array.value(row), out),
            Self::Text(array) => write_text(array.value(row), out),
            Self::Json(text) => match text.as_ref() {
                Self::TextView(array) => out.extend_from_slice(array.value(row).as_bytes()),
                Self::Text(array) => out.extend_from_slice(array.value(row).as_bytes()),
                other => other.write(row, out)?,
            },
            Self::Time(values, nanos_per_unit) => write_time(values[row], *nanos_per_unit, out),
            Self::Date(days) => {
                out.push(b'"');
                write_date(days[row].into(), out);
                out.push(b'"');
            }
            Self::List(range, values) => {
                let (start, end) = range(row);
                out.push(b'[');
                for element in start..end {
                    if element > start {
                        out.push(b',');
                    }
                    values.write(element, out)?;
                }
                out.push(b']');
            }
            Self::Struct(structs, members) => {
                out.push(b'{');
                for (index, (name, member)) in structs.column_names().iter().zip(members).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_text(name, out);
                    out.push(b':');
                    member.write(row, out)?;
                }
                out.push(b'}');
            }
            Self::Map(range, keys, values) => {
                let (start, end) = range(row);
                out.push(b'{');
                let mut key = Vec::new();
                for entry in start..end {
                    if entry > start {
                        out.push(b',');
                    }
                    key.clear();
                    keys.write_plain(entry, &mut key)?;
                    write_text(&String::from_utf8_lossy(&key), out);
                    out.push(b':');
                    values.write(entry, out)?;
                }
                out.push(b'}');
            }
            Self::Dictionary(key, values) => values.write(key(row), out)?,
            Self::Printed(formatter, true) => print(formatter, row, out)?,
            Self::Printed(formatter, false) => {
                let mut text = Vec::new();
                print(formatter, row, &mut text)?;
                write_text(&String::from_utf8_lossy(&text), out);
            }
        }
        Ok(())
    }
}

fn print(formatter: &ArrayFormatter<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let mut text = String::new();
    write!(text, "{}", formatter.value(row))
        .map_err(|_| ArrowError::InvalidArgumentError("a value could not be printed".to_owned()))?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn write_double(value: f64, out: &mut Vec<u8>) {
    match value {
        value if value.is_finite() => out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes()),
        value if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
        value if value > 0.0 => out.extend_from_slice(b"\"inf\""),
        _ => out.extend_from_slice(b"\"-inf\""),
    }
}

/// Appends `"2026-01-02T03:04:05.000000006Z"`.
fn write_time(value: i64, nanos_per_unit: i64, out: &mut Vec<u8>) {
    let units_per_second = 1_000_000_000 / nanos_per_unit;
    let seconds = value.div_euclid(units_per_second);
    let nanos = value.rem_euclid(units_per_second) * nanos_per_unit;
    out.push(b'"');
    write_date(seconds.div_euclid(86_400), out);
    let second_of_day = seconds.rem_euclid(86_400);
    out.push(b'T');
    write_digits(second_of_day / 3600, 2, out);
    out.push(b':');
    write_digits(second_of_day / 60 % 60, 2, out);
    out.push(b':');
    write_digits(second_of_day % 60, 2, out);
    out.push(b'.');
    write_digits(nanos, 9, out);
    out.extend_from_slice(b"Z\"");
}

/// Appends a day of the proleptic Gregorian calendar, counted from 1970-01-01.
fn write_date(days: i64, out: &mut Vec<u8>) {
    // Counting years from March puts the leap day at a year's end; 400 years have 146,097 days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if year < 0 {
        out.push(b'-');
    }
    write_digits(year.abs(), 4, out);
    out.push(b'-');
    write_digits(month, 2, out);
    out.push(b'-');
    write_digits(day, 2, out);
}

/// Appends a number that is not negative with at least this many digits.
fn write_digits(value: i64, digits: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value);
    out.extend(std::iter::repeat_n(b'0', digits.saturating_sub(text.len())));
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::*;

    fn written(array: impl Array + 'static) -> Vec<String> {
        let array: ArrayRef = Arc::new(array);
        let field = Field::new("c", array.data_type().clone(), true);
        let writer = Nullable::new(&field, &array).unwrap();
        let row = |row| {
            let mut out = Vec::new();
            writer.write(row, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            text
        };
        (0..array.len()).map(row).collect()
    }

    #[test]
    fn scalars() {
        assert_eq!(written(BooleanArray::from(vec![Some(true), None])), ["true", "null"]);
        assert_eq!(
            written(Int64Array::from(vec![i64::MIN, i64::MAX])),
            ["-9223372036854775808", "9223372036854775807"]
        );
        assert_eq!(written(UInt64Array::from(vec![u64::MAX])), ["18446744073709551615"]);
        assert_eq!(written(Int8Array::from(vec![-1])), ["-1"]);
        assert_eq!(
            written(Float64Array::from(vec![1.5, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
            ["1.5", "1e+300", "\"NaN\"", "\"inf\"", "\"-inf\""]
        );
        assert_eq!(written(Float32Array::from(vec![0.1])), ["0.1"]);
        assert_eq!(written(StringViewArray::from(vec!["a\"b\\\n\u{1}é"])), [r#""a\"b\\\n\u0001é""#]);
        assert_eq!(written(NullArray::new(1)), ["null"]);
        assert_eq!(written(Decimal128Array::from(vec![12345]).with_precision_and_scale(10, 2).unwrap()), ["123.45"]);
        assert_eq!(written(BinaryArray::from(vec![&[1u8, 255][..]])), ["\"01ff\""]);
    }

    #[test]
    fn times() {
        let times = vec![0, -1, 951_782_400_000_000_001, i64::MAX, i64::MIN];
        assert_eq!(
            written(TimestampNanosecondArray::from(times)),
            [
                "\"1970-01-01T00:00:00.000000000Z\"",
                "\"1969-12-31T23:59:59.999999999Z\"",
                "\"2000-02-29T00:00:00.000000001Z\"",
                "\"2262-04-11T23:47:16.854775807Z\"",
                "\"1677-09-21T00:12:43.145224192Z\"",
            ]
        );
        assert_eq!(written(TimestampMillisecondArray::from(vec![1_001])), ["\"1970-01-01T00:00:01.001000000Z\""]);
        assert_eq!(written(Date32Array::from(vec![19_782])), ["\"2024-02-29\""]);
    }

    #[test]
    fn nested() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
        assert_eq!(written(list), ["[1,null]", "null", "[]"]);
        let structs = StructArray::from(vec![
            (Arc::new(Field::new("a\"", DataType::Int64, true)), Arc::new(Int64Array::from(vec![1])) as ArrayRef),
            (
                Arc::new(Field::new("b", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef,
            ),
        ]);
        assert_eq!(written(structs), [r#"{"a\"":1,"b":null}"#]);
        let dictionary: DictionaryArray<Int32Type> = [Some("x"), None, Some("x")].into_iter().collect();
        assert_eq!(written(dictionary), ["\"x\"", "null", "\"x\""]);
        let mut map = MapBuilder::new(None, Int64Builder::new(), StringBuilder::new());
        map.keys().append_value(7);
        map.values().append_value("v");
        map.append(true).unwrap();
        assert_eq!(written(map.finish()), [r#"{"7":"v"}"#]);
    }
}
