//! The nouns of metrics as Prometheus knows them: series, labels, samples, native histograms.
//!
//! Times are milliseconds since the Unix epoch, as everywhere in Prometheus' protocols; they may be negative.

mod exemplar;
mod histogram;
mod labels;
mod metadata;
mod samples;

pub use exemplar::SeriesExemplar;
pub use histogram::{CounterResetHint, FloatHistogram, NativeSpan};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use metadata::{MetricType, SeriesMetadata};
pub use samples::{FloatSamples, HistogramSamples, STALE_NAN, Samples, is_stale};
