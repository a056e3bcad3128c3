//! The nouns of metrics as Prometheus knows them: series, labels, samples, native histograms.
//!
//! Times are milliseconds since the Unix epoch, as everywhere in Prometheus' protocols; they may be negative.

mod duration;
mod exemplar;
mod histogram;
mod labels;
mod metadata;
mod number;
mod samples;
mod target;

pub use duration::{InvalidDuration, format_millis, parse_millis};
pub use exemplar::SeriesExemplar;
pub use histogram::{
    Bucket, ClassicHistogram, CounterResetHint, FloatHistogram, FractionEstimate, HistogramMean, HistogramSum,
    IncompatibleSchemas, InvalidClassic, InvalidHistogram, NanEffect, NativeSpan, QuantileEstimate, Reconciled, Trim,
};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME, is_label_name, is_metric_name};
pub use metadata::{MetricType, SeriesMetadata};
pub use number::ShortFloat;
pub use samples::{FloatSamples, HistogramSamples, STALE_NAN, Samples, is_stale};
pub use target::{DroppedTarget, RelabelStep, TargetHealth, TargetStatus, Targets};
