use super::Labels;

/// An example observation of a series, with labels of its own (a trace id, as a rule).
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplar {
    /// Labels beside those of the series, for example `trace_id`.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
}
