use super::{Column, Kind};

const QUANTILE: &[Column] = &[
    Column::required("quantile", Kind::Double, "From 0 to 1."),
    Column::required("value", Kind::Double, "The value at the quantile."),
];

const EXEMPLAR: &[Column] = &[
    Column::required("time", Kind::Time, "When it was measured."),
    Column::optional("value_int", Kind::Int, "The measurement, when it is an integer."),
    Column::optional("value_double", Kind::Double, "The measurement, when it is a float."),
    Column::optional("trace_id", Kind::TraceId, "The trace in which it was measured."),
    Column::optional("span_id", Kind::SpanId, "The span in which it was measured."),
    Column::optional("attributes", Kind::Json, "Attributes that the series itself does not carry."),
];

pub(super) const COLUMNS: &[Column] = &[
    Column::required("time", Kind::Time, "The moment of the point."),
    Column::optional("start_time", Kind::Time, "Start of the time that the point covers; null when unknown."),
    Column::required("name", Kind::Text, "The metric's name."),
    Column::required("kind", Kind::Text, "gauge, sum, histogram, exponential_histogram or summary."),
    Column::optional("unit", Kind::Text, "Unit in UCUM, for example s or By."),
    Column::optional("description", Kind::Text, "What the metric measures."),
    Column::required("temporality", Kind::Text, "unspecified, delta or cumulative."),
    Column::required("is_monotonic", Kind::Bool, "Whether a sum only grows."),
    Column::optional("metadata", Kind::Json, "Attributes of the metric itself."),
    Column::optional("attributes", Kind::Json, "Attributes that tell the series apart."),
    Column::optional("value_int", Kind::Int, "Value of a gauge or sum that was sent as an integer."),
    Column::optional("value_double", Kind::Double, "Value of a gauge or sum that was sent as a float."),
    Column::optional("count", Kind::Int, "Measurements in a histogram or summary."),
    Column::optional("sum", Kind::Double, "Sum of the measurements of a histogram or summary."),
    Column::optional("min", Kind::Double, "Smallest measurement of a histogram."),
    Column::optional("max", Kind::Double, "Largest measurement of a histogram."),
    Column::optional("explicit_bounds", Kind::Doubles, "Upper bounds of a histogram's buckets but the last."),
    Column::optional("bucket_counts", Kind::Ints, "Measurements per bucket of a histogram."),
    Column::optional("scale", Kind::Int, "Resolution of an exponential histogram."),
    Column::optional("zero_count", Kind::Int, "Measurements in the zero bucket of an exponential histogram."),
    Column::optional("zero_threshold", Kind::Double, "Width of the zero bucket of an exponential histogram."),
    Column::optional("positive_offset", Kind::Int, "Index of the first positive bucket."),
    Column::optional("positive_counts", Kind::Ints, "Measurements per positive bucket."),
    Column::optional("negative_offset", Kind::Int, "Index of the first negative bucket."),
    Column::optional("negative_counts", Kind::Ints, "Measurements per negative bucket."),
    Column::optional("quantiles", Kind::Structs(QUANTILE), "Quantiles of a summary."),
    Column::optional("exemplars", Kind::Structs(EXEMPLAR), "Example measurements; null for none."),
    Column::required("flags", Kind::Int, "Bit 0: no recorded value (the series went stale)."),
];
