use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType};
use std::sync::Arc;
use tripod_model::sink::{MetricSink, Sink};
use tripod_model::{
    Attribute, Buckets, Exemplar, Metric, MetricKind, Number, Point, PointValue, Quantile, Resource, Scope, Temporality,
};

use super::context::ContextColumns;
use super::promoted::set_json;
use super::read::{Columns, Context, optional};
use super::{Batch, Recorded, Rejections, count, nanos, struct_array};
use crate::attribute_json::write_attributes;
use crate::column::{BoolColumn, ListOffsets, NumberColumn, StoredText, TextColumn};
use crate::schema::Kind;
use crate::{SelectError, Signal};

type Ints = NumberColumn<Int64Type>;
type Doubles = NumberColumn<Float64Type>;
type Times = NumberColumn<TimestampNanosecondType>;

/// Metric points on their way into the table.
#[derive(Debug)]
pub struct MetricRows {
    arrival: i64,
    rows: usize,
    rejections: Rejections,
    context: ContextColumns,
    metric: MetricColumns,
    time: Times,
    start_time: Times,
    attributes: TextColumn,
    value_int: Ints,
    value_double: Doubles,
    count: Ints,
    sum: Doubles,
    min: Doubles,
    max: Doubles,
    explicit_bounds: DoubleLists,
    bucket_counts: IntLists,
    scale: Ints,
    zero_count: Ints,
    zero_threshold: Doubles,
    positive_offset: Ints,
    positive_counts: IntLists,
    negative_offset: Ints,
    negative_counts: IntLists,
    quantiles: Quantiles,
    exemplars: Exemplars,
    flags: Ints,
}

/// The columns that all points of a metric share.
#[derive(Debug)]
struct MetricColumns {
    name: TextColumn,
    kind: TextColumn,
    unit: TextColumn,
    description: TextColumn,
    temporality: TextColumn,
    is_monotonic: BoolColumn,
    metadata: TextColumn,
    current: CurrentMetric,
}

#[derive(Debug, Default)]
struct CurrentMetric {
    name: Option<StoredText>,
    kind: Option<StoredText>,
    unit: Option<StoredText>,
    description: Option<StoredText>,
    temporality: Option<StoredText>,
    is_monotonic: bool,
    metadata: Option<StoredText>,
}

#[derive(Debug)]
struct IntLists {
    offsets: ListOffsets,
    elements: Vec<i64>,
}

#[derive(Debug)]
struct DoubleLists {
    offsets: ListOffsets,
    elements: Vec<f64>,
}

#[derive(Debug)]
struct Quantiles {
    offsets: ListOffsets,
    quantile: Vec<f64>,
    value: Vec<f64>,
}

#[derive(Debug)]
struct Exemplars {
    count: usize,
    offsets: ListOffsets,
    time: Times,
    value_int: Ints,
    value_double: Doubles,
    trace_id: TextColumn,
    span_id: TextColumn,
    attributes: TextColumn,
}

impl MetricRows {
    /// An empty batch; points without a time get `arrival_unix_nano`.
    pub fn new(arrival_unix_nano: i64) -> Self {
        Self {
            arrival: arrival_unix_nano,
            rows: 0,
            rejections: Rejections::default(),
            context: ContextColumns::new(),
            metric: MetricColumns {
                name: TextColumn::new(),
                kind: TextColumn::new(),
                unit: TextColumn::new(),
                description: TextColumn::new(),
                temporality: TextColumn::new(),
                is_monotonic: BoolColumn::default(),
                metadata: TextColumn::new(),
                current: CurrentMetric::default(),
            },
            time: Times::new(),
            start_time: Times::new(),
            attributes: TextColumn::new(),
            value_int: Ints::new(),
            value_double: Doubles::new(),
            count: Ints::new(),
            sum: Doubles::new(),
            min: Doubles::new(),
            max: Doubles::new(),
            explicit_bounds: DoubleLists { offsets: ListOffsets::new(), elements: Vec::new() },
            bucket_counts: IntLists::new(),
            scale: Ints::new(),
            zero_count: Ints::new(),
            zero_threshold: Doubles::new(),
            positive_offset: Ints::new(),
            positive_counts: IntLists::new(),
            negative_offset: Ints::new(),
            negative_counts: IntLists::new(),
            quantiles: Quantiles { offsets: ListOffsets::new(), quantile: Vec::new(), value: Vec::new() },
            exemplars: Exemplars {
                count: 0,
                offsets: ListOffsets::new(),
                time: Times::new(),
                value_int: Ints::new(),
                value_double: Doubles::new(),
                trace_id: TextColumn::new(),
                span_id: TextColumn::new(),
                attributes: TextColumn::new(),
            },
            flags: Ints::new(),
        }
    }

    /// How many points are kept so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no point is kept.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows, and what was rejected.
    pub fn finish(self) -> (Batch, Rejections) {
        let rows = self.rows;
        let time = Kind::Time.data_type();
        let int = DataType::Int64;
        let double = DataType::Float64;
        let metric = self.metric;
        let mut arrays = vec![
            self.time.finish(rows, &time),
            self.start_time.finish(rows, &time),
            metric.name.finish(rows),
            metric.kind.finish(rows),
            metric.unit.finish(rows),
            metric.description.finish(rows),
            metric.temporality.finish(rows),
            metric.is_monotonic.finish(),
            metric.metadata.finish(rows),
            self.attributes.finish(rows),
            self.value_int.finish(rows, &int),
            self.value_double.finish(rows, &double),
            self.count.finish(rows, &int),
            self.sum.finish(rows, &double),
            self.min.finish(rows, &double),
            self.max.finish(rows, &double),
            self.explicit_bounds.finish(rows),
            self.bucket_counts.finish(rows),
            self.scale.finish(rows, &int),
            self.zero_count.finish(rows, &int),
            self.zero_threshold.finish(rows, &double),
            self.positive_offset.finish(rows, &int),
            self.positive_counts.finish(rows),
            self.negative_offset.finish(rows, &int),
            self.negative_counts.finish(rows),
            self.quantiles.finish(rows),
            self.exemplars.finish(rows),
            self.flags.finish(rows, &int),
        ];
        arrays.extend(self.context.finish(rows));
        (super::batch(Signal::Metrics, arrays), self.rejections)
    }

    fn check(&self, point: &Point<'_>) -> Result<(i64, i64), String> {
        let time = nanos("timeUnixNano", point.time_unix_nano)?;
        let start = nanos("startTimeUnixNano", point.start_time_unix_nano)?;
        for exemplar in &point.exemplars {
            nanos("exemplars.timeUnixNano", exemplar.time_unix_nano)?;
        }
        let counts = |field: &str, values: &[u64]| values.iter().try_for_each(|value| count(field, *value).map(drop));
        match &point.value {
            PointValue::Number(_) => {}
            PointValue::Histogram { count: total, bucket_counts, .. } => {
                count("count", *total)?;
                counts("bucketCounts", bucket_counts)?;
            }
            PointValue::ExponentialHistogram { count: total, zero_count, positive, negative, .. } => {
                count("count", *total)?;
                count("zeroCount", *zero_count)?;
                counts("positive.bucketCounts", &positive.counts)?;
                counts("negative.bucketCounts", &negative.counts)?;
            }
            PointValue::Summary { count: total, .. } => {
                count("count", *total)?;
            }
        }
        Ok((if time == 0 { self.arrival } else { time }, start))
    }

    /// Writes a value that [`MetricRows::check`] has seen to fit.
    fn set_value(&mut self, row: usize, value: &PointValue) {
        match value {
            PointValue::Number(Number::Empty) => {}
            PointValue::Number(Number::Int(value)) => self.value_int.set(row, *value),
            PointValue::Number(Number::Double(value)) => self.value_double.set(row, *value),
            PointValue::Histogram { count, sum, min, max, explicit_bounds, bucket_counts } => {
                self.set_totals(row, *count, *sum, *min, *max);
                self.explicit_bounds.set(row, explicit_bounds);
                self.bucket_counts.set(row, bucket_counts);
            }
            PointValue::ExponentialHistogram {
                count,
                sum,
                min,
                max,
                scale,
                zero_count,
                zero_threshold,
                positive,
                negative,
            } => {
                self.set_totals(row, *count, *sum, *min, *max);
                self.scale.set(row, i64::from(*scale));
                self.zero_count.set(row, *zero_count as i64);
                self.zero_threshold.set(row, *zero_threshold);
                self.positive_offset.set(row, i64::from(positive.offset));
                self.positive_counts.set(row, &positive.counts);
                self.negative_offset.set(row, i64::from(negative.offset));
                self.negative_counts.set(row, &negative.counts);
            }
            PointValue::Summary { count, sum, quantiles } => {
                self.set_totals(row, *count, Some(*sum), None, None);
                self.quantiles.set(row, quantiles);
            }
        }
    }

    fn set_totals(&mut self, row: usize, count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) {
        self.count.set(row, count as i64);
        for (column, value) in [(&mut self.sum, sum), (&mut self.min, min), (&mut self.max, max)] {
            if let Some(value) = value {
                column.set(row, value);
            }
        }
    }
}

impl Sink for MetricRows {
    fn resource(&mut self, resource: &Resource<'_>) {
        self.context.resource(self.rows, resource);
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        self.context.scope(self.rows, scope);
    }
}

impl MetricSink for MetricRows {
    fn metric(&mut self, metric: &Metric<'_>) {
        let MetricColumns { name, kind, unit, description, temporality, metadata, current, .. } = &mut self.metric;
        let present = |column: &mut TextColumn, text: &str| (!text.is_empty()).then(|| column.store(text));
        *current = CurrentMetric {
            name: Some(name.store(&metric.name)),
            kind: Some(kind.store(metric.kind.name())),
            unit: present(unit, &metric.unit),
            description: present(description, &metric.description),
            temporality: Some(temporality.store(&metric.temporality.name())),
            is_monotonic: metric.is_monotonic,
            metadata: (!metric.metadata.is_empty())
                .then(|| metadata.store_with(|out| write_attributes(&metric.metadata, out))),
        };
    }

    fn point(&mut self, point: &Point<'_>) {
        let (time, start) = match self.check(point) {
            Ok(times) => times,
            Err(reason) => return self.rejections.add(|| reason),
        };
        let row = self.rows;
        self.rows += 1;
        self.metric.repeat(row);
        self.time.set(row, time);
        if start != 0 {
            self.start_time.set(row, start);
        }
        set_json(row, &point.attributes, &mut self.attributes);
        self.set_value(row, &point.value);
        self.exemplars.set(row, &point.exemplars);
        self.flags.set(row, i64::from(point.flags));
    }
}

impl MetricColumns {
    fn repeat(&mut self, row: usize) {
        let current = &self.current;
        for (column, stored) in [
            (&mut self.name, current.name),
            (&mut self.kind, current.kind),
            (&mut self.unit, current.unit),
            (&mut self.description, current.description),
            (&mut self.temporality, current.temporality),
            (&mut self.metadata, current.metadata),
        ] {
            if let Some(stored) = stored {
                column.repeat(row, 1, stored);
            }
        }
        self.is_monotonic.push(current.is_monotonic);
    }
}

impl IntLists {
    fn new() -> Self {
        Self { offsets: ListOffsets::new(), elements: Vec::new() }
    }

    fn set(&mut self, row: usize, counts: &[u64]) {
        self.elements.extend(counts.iter().map(|count| *count as i64));
        self.offsets.set(row, self.elements.len());
    }

    fn finish(self, rows: usize) -> ArrayRef {
        self.offsets.finish(rows, &Kind::Ints.data_type(), Arc::new(Int64Array::from(self.elements)))
    }
}

impl DoubleLists {
    fn set(&mut self, row: usize, values: &[f64]) {
        self.elements.extend_from_slice(values);
        self.offsets.set(row, self.elements.len());
    }

    fn finish(self, rows: usize) -> ArrayRef {
        self.offsets.finish(rows, &Kind::Doubles.data_type(), Arc::new(Float64Array::from(self.elements)))
    }
}

impl Quantiles {
    fn set(&mut self, row: usize, quantiles: &[Quantile]) {
        self.quantile.extend(quantiles.iter().map(|quantile| quantile.quantile));
        self.value.extend(quantiles.iter().map(|quantile| quantile.value));
        self.offsets.set(row, self.quantile.len());
    }

    fn finish(self, rows: usize) -> ArrayRef {
        let data_type = super::column_type(Signal::Metrics, "quantiles");
        let arrays: Vec<ArrayRef> =
            vec![Arc::new(Float64Array::from(self.quantile)), Arc::new(Float64Array::from(self.value))];
        self.offsets.finish(rows, &data_type, struct_array(&data_type, arrays))
    }
}

impl Exemplars {
    fn set(&mut self, row: usize, exemplars: &[Exemplar<'_>]) {
        if exemplars.is_empty() {
            return;
        }
        for exemplar in exemplars {
            let element = self.count;
            self.count += 1;
            self.time.set(element, exemplar.time_unix_nano as i64);
            match exemplar.value {
                Number::Empty => {}
                Number::Int(value) => self.value_int.set(element, value),
                Number::Double(value) => self.value_double.set(element, value),
            }
            if !exemplar.trace_id.is_zero() {
                self.trace_id.set_with(element, |out| out.extend_from_slice(&exemplar.trace_id.hex()));
            }
            if !exemplar.span_id.is_zero() {
                self.span_id.set_with(element, |out| out.extend_from_slice(&exemplar.span_id.hex()));
            }
            set_json(element, &exemplar.filtered_attributes, &mut self.attributes);
        }
        self.offsets.set(row, self.count);
    }

    fn finish(self, rows: usize) -> ArrayRef {
        let data_type = super::column_type(Signal::Metrics, "exemplars");
        if self.count == 0 {
            return new_null_array(&data_type, rows);
        }
        let arrays = vec![
            self.time.finish(self.count, &Kind::Time.data_type()),
            self.value_int.finish(self.count, &DataType::Int64),
            self.value_double.finish(self.count, &DataType::Float64),
            self.trace_id.finish(self.count),
            self.span_id.finish(self.count),
            self.attributes.finish(self.count),
        ];
        self.offsets.finish(rows, &data_type, struct_array(&data_type, arrays))
    }
}

/// Reads points back, each with its metric, from rows with every column of the table.
///
/// # Errors
/// [`SelectError`] when a column is missing or holds what no point has.
pub fn read_metrics(rows: &RecordBatch) -> Result<Vec<Recorded<'_, (Metric<'_>, Point<'_>)>>, SelectError> {
    let columns = Columns::new(Signal::Metrics, rows);
    let context = Context::new(&columns)?;
    let values = ValueColumns::new(&columns)?;
    let time = columns.times("time")?;
    let start_time = columns.times("start_time")?;
    let name = columns.text("name")?;
    let kind = columns.text("kind")?;
    let unit = columns.text("unit")?;
    let description = columns.text("description")?;
    let temporality = columns.text("temporality")?;
    let is_monotonic = columns.bools("is_monotonic")?;
    let metadata = columns.text("metadata")?;
    let attributes = columns.text("attributes")?;
    let flags = columns.ints("flags")?;

    let exemplars = columns.structs("exemplars")?;
    let exemplar_time = exemplars.times("time")?;
    let exemplar_int = exemplars.ints("value_int")?;
    let exemplar_double = exemplars.doubles("value_double")?;
    let exemplar_trace_id = exemplars.text("trace_id")?;
    let exemplar_span_id = exemplars.text("span_id")?;
    let exemplar_attributes = exemplars.text("attributes")?;

    (0..rows.num_rows())
        .map(|row| {
            let metric = Metric {
                name: name.text(row).into(),
                description: description.text(row).into(),
                unit: unit.text(row).into(),
                metadata: metadata.attributes(row)?,
                kind: kind.named(row, MetricKind::from_name)?,
                temporality: temporality.named(row, Temporality::from_name)?,
                is_monotonic: is_monotonic.value(row),
            };
            let point = Point {
                attributes: attributes.attributes(row)? as Vec<Attribute<'_>>,
                start_time_unix_nano: optional(start_time, row).unwrap_or(0) as u64,
                time_unix_nano: time.value(row) as u64,
                flags: flags.value(row) as u32,
                exemplars: exemplars
                    .elements(row)
                    .map(|element| {
                        Ok(Exemplar {
                            filtered_attributes: exemplar_attributes.attributes(element)?,
                            time_unix_nano: exemplar_time.value(element) as u64,
                            value: number(optional(exemplar_int, element), optional(exemplar_double, element)),
                            trace_id: exemplar_trace_id.id(element)?,
                            span_id: exemplar_span_id.id(element)?,
                        })
                    })
                    .collect::<Result<_, SelectError>>()?,
                value: values.read(metric.kind, row),
            };
            context.recorded(row, (metric, point))
        })
        .collect()
}

fn number(int: Option<i64>, double: Option<f64>) -> Number {
    int.map(Number::Int).or(double.map(Number::Double)).unwrap_or_default()
}

/// The columns of a point's value.
struct ValueColumns<'a> {
    value_int: &'a Int64Array,
    value_double: &'a Float64Array,
    count: &'a Int64Array,
    sum: &'a Float64Array,
    min: &'a Float64Array,
    max: &'a Float64Array,
    explicit_bounds: super::read::DoubleLists<'a>,
    bucket_counts: super::read::IntLists<'a>,
    scale: &'a Int64Array,
    zero_count: &'a Int64Array,
    zero_threshold: &'a Float64Array,
    positive_offset: &'a Int64Array,
    positive_counts: super::read::IntLists<'a>,
    negative_offset: &'a Int64Array,
    negative_counts: super::read::IntLists<'a>,
    quantiles: super::read::Structs<'a>,
    quantile: &'a Float64Array,
    quantile_value: &'a Float64Array,
}

impl<'a> ValueColumns<'a> {
    fn new(columns: &Columns<'a>) -> Result<Self, SelectError> {
        let quantiles = columns.structs("quantiles")?;
        Ok(Self {
            value_int: columns.ints("value_int")?,
            value_double: columns.doubles("value_double")?,
            count: columns.ints("count")?,
            sum: columns.doubles("sum")?,
            min: columns.doubles("min")?,
            max: columns.doubles("max")?,
            explicit_bounds: columns.double_lists("explicit_bounds")?,
            bucket_counts: columns.int_lists("bucket_counts")?,
            scale: columns.ints("scale")?,
            zero_count: columns.ints("zero_count")?,
            zero_threshold: columns.doubles("zero_threshold")?,
            positive_offset: columns.ints("positive_offset")?,
            positive_counts: columns.int_lists("positive_counts")?,
            negative_offset: columns.ints("negative_offset")?,
            negative_counts: columns.int_lists("negative_counts")?,
            quantile: quantiles.doubles("quantile")?,
            quantile_value: quantiles.doubles("value")?,
            quantiles,
        })
    }

    fn read(&self, kind: MetricKind, row: usize) -> PointValue {
        let count = optional(self.count, row).unwrap_or(0) as u64;
        let (sum, min, max) = (optional(self.sum, row), optional(self.min, row), optional(self.max, row));
        let buckets = |offset: &Int64Array, counts: &super::read::IntLists<'_>| Buckets {
            offset: optional(offset, row).unwrap_or(0) as i32,
            counts: counts.counts(row),
        };
        match kind {
            MetricKind::Gauge | MetricKind::Sum => {
                PointValue::Number(number(optional(self.value_int, row), optional(self.value_double, row)))
            }
            MetricKind::Histogram => PointValue::Histogram {
                count,
                sum,
                min,
                max,
                explicit_bounds: self.explicit_bounds.values(row),
                bucket_counts: self.bucket_counts.counts(row),
            },
            MetricKind::ExponentialHistogram => PointValue::ExponentialHistogram {
                count,
                sum,
                min,
                max,
                scale: optional(self.scale, row).unwrap_or(0) as i32,
                zero_count: optional(self.zero_count, row).unwrap_or(0) as u64,
                zero_threshold: optional(self.zero_threshold, row).unwrap_or(0.0),
                positive: buckets(self.positive_offset, &self.positive_counts),
                negative: buckets(self.negative_offset, &self.negative_counts),
            },
            MetricKind::Summary => PointValue::Summary {
                count,
                sum: sum.unwrap_or(0.0),
                quantiles: self
                    .quantiles
                    .elements(row)
                    .map(|element| Quantile {
                        quantile: self.quantile.value(element),
                        value: self.quantile_value.value(element),
                    })
                    .collect(),
            },
        }
    }
}
