//! How to store attributes: the same million spans written in several ways and asked the same two questions.
//!
//! `cargo run --release -p tripod-bench --bin attributes`

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, MapBuilder, MapFieldNames, RecordBatch, StringBuilder, StringViewArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tripod_bench::Spans;
use tripod_model::Value;
use tripod_storage::{Matcher, Signal, read_attributes, write_attributes};

/// Brings a batch into the form that is measured.
type Convert = fn(&RecordBatch) -> anyhow::Result<RecordBatch>;

const ROWS: usize = 1_000_000;
const BATCH: usize = 8192;
const RUNS: usize = 5;

fn main() -> anyhow::Result<()> {
    let mut source = Spans::new(1);
    let start = Instant::now();
    let batches: Vec<RecordBatch> = (0..ROWS / BATCH + 1).map(|_| source.batch(BATCH).rows).collect();
    let built = start.elapsed().as_secs_f64();
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    println!("{rows} spans, made and built in {built:.2} s\n");
    println!("| form | rows/s written | bytes a row | promoted key, ms | unpromoted key, ms | hits |");
    println!("|---|---|---|---|---|---|");
    let forms: [(&str, Convert); 4] = [
        ("promoted columns + JSON text", |rows| Ok(rows.clone())),
        ("promoted columns + map<text, text>", as_map),
        ("JSON text only", unpromoted),
        ("promoted + JSON, ids as bytes", ids_as_bytes),
    ];
    for level in [1, 3] {
        for (name, convert) in forms {
            measure(&format!("{name}, zstd {level}"), &batches, convert, level)?;
        }
    }
    Ok(())
}

fn measure(name: &str, batches: &[RecordBatch], convert: Convert, level: i32) -> anyhow::Result<()> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let batches = batches.iter().map(convert).collect::<anyhow::Result<Vec<_>>>()?;
    let schema = batches[0].schema();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(level)?))
        .set_max_row_group_row_count(Some(128 * 1024))
        .build();
    let start = Instant::now();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
    for batch in &batches {
        writer.write(batch)?;
    }
    let file = bytes::Bytes::from(writer.into_inner()?);
    let written = rows as f64 / start.elapsed().as_secs_f64();
    let (promoted, hits) = fastest(|| filter(&file, "http_route", "http.route", "/jobs/{job_id}"))?;
    let (unpromoted, more) = fastest(|| filter(&file, "", "app.tenant", "tenant-7"))?;
    println!(
        "| {name} | {written:.0} | {:.1} | {promoted:.0} | {unpromoted:.0} | {hits}, {more} |",
        file.len() as f64 / rows as f64
    );
    Ok(())
}

fn fastest(run: impl Fn() -> anyhow::Result<usize>) -> anyhow::Result<(f64, usize)> {
    let mut best = f64::MAX;
    let mut hits = 0;
    for _ in 0..RUNS {
        let start = Instant::now();
        hits = run()?;
        best = best.min(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok((best, hits))
}

/// Counts the rows with an attribute, by its column where there is one.
fn filter(file: &bytes::Bytes, column: &str, key: &str, value: &str) -> anyhow::Result<usize> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone())?;
    let schema = builder.schema().clone();
    let column = if schema.field_with_name(column).is_ok() { column } else { "attributes" };
    let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
    let mut hits = 0;
    for batch in builder.with_projection(mask).with_batch_size(BATCH).build()? {
        let batch = batch?;
        let array = batch.column(0);
        hits += if let Some(map) = array.as_map_opt() {
            let keys = map.keys().as_string::<i32>();
            let values = map.values().as_string::<i32>();
            let offsets = map.value_offsets();
            (0..map.len())
                .filter(|row| {
                    (offsets[*row] as usize..offsets[row + 1] as usize)
                        .any(|entry| keys.value(entry) == key && values.value(entry) == value)
                })
                .count()
        } else if column == "attributes" {
            let matcher = Matcher::attribute("attributes", key, tripod_storage::Predicate::Eq(value.into()));
            matcher.evaluate(&batch)?.true_count()
        } else {
            Matcher::eq(column, value).evaluate(&batch)?.true_count()
        };
    }
    Ok(hits)
}

fn replace(rows: &RecordBatch, name: &str, field: Field, array: ArrayRef) -> anyhow::Result<RecordBatch> {
    let index = rows.schema_ref().index_of(name)?;
    let mut fields: Vec<_> = rows.schema_ref().fields().iter().cloned().collect();
    let mut arrays = rows.columns().to_vec();
    fields[index] = Arc::new(field);
    arrays[index] = array;
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// Values lose their type here, so this form is flattered: a typed map needs a tag beside each value.
fn as_map(rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let json = rows.column(rows.schema_ref().index_of("attributes")?).as_string_view();
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for text in json {
        for attribute in text.map(read_attributes).transpose()?.unwrap_or_default() {
            builder.keys().append_value(&attribute.key);
            match attribute.value {
                Value::Str(text) => builder.values().append_value(&text),
                Value::Int(value) => builder.values().append_value(value.to_string()),
                Value::Double(value) => builder.values().append_value(value.to_string()),
                other => builder.values().append_value(format!("{other:?}")),
            }
        }
        builder.append(true)?;
    }
    let map = builder.finish();
    let field = Field::new("attributes", map.data_type().clone(), true);
    replace(rows, "attributes", field, Arc::new(map))
}

/// Every attribute in the JSON column, none in a column of its own.
fn unpromoted(rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let spans = tripod_storage::record::read_spans(rows)?;
    let mut text = Vec::new();
    let json: StringViewArray = spans
        .iter()
        .map(|span| {
            text.clear();
            write_attributes(&span.record.attributes, &mut text);
            std::str::from_utf8(&text).ok().map(str::to_owned)
        })
        .collect();
    let rows = replace(
        rows,
        "attributes",
        Field::new("attributes", arrow::datatypes::DataType::Utf8View, true),
        Arc::new(json),
    )?;
    let kept: Vec<usize> = Signal::Spans
        .own_columns()
        .iter()
        .enumerate()
        .filter(|(_, column)| column.promoted.is_none())
        .map(|(index, _)| index)
        .chain(Signal::Spans.own_columns().len()..rows.num_columns())
        .collect();
    Ok(rows.project(&kept)?)
}

/// Ids as 16 and 8 bytes instead of hexadecimal text.
fn ids_as_bytes(rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let mut rows = concat_batches(rows.schema_ref(), [rows])?;
    for name in ["trace_id", "span_id", "parent_span_id"] {
        let text = rows.column(rows.schema_ref().index_of(name)?).as_string_view();
        let bytes: BinaryArray = text
            .iter()
            .map(|text| {
                text.map(|text| {
                    (0..text.len() / 2)
                        .map(|index| u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).unwrap_or(0))
                        .collect::<Vec<u8>>()
                })
            })
            .collect();
        let field = Field::new(name, bytes.data_type().clone(), true);
        rows = replace(&rows, name, field, Arc::new(bytes))?;
    }
    Ok(rows)
}
