/// What a store can say of its series: Prometheus' `/api/v1/status/tsdb`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesStatistics {
    /// Series in memory.
    pub series: u64,
    /// Different pairs of a label's name and value.
    pub label_pairs: u64,
    /// Chunks in memory.
    pub chunks: u64,
    /// Time of the oldest sample in memory, milliseconds since the Unix epoch; `None` without samples.
    pub min_time: Option<i64>,
    /// Time of the newest sample in memory, milliseconds since the Unix epoch; `None` without samples.
    pub max_time: Option<i64>,
    /// Series by metric name, the largest first.
    pub series_by_metric: Vec<NameCount>,
    /// Different values by label name, the largest first.
    pub values_by_label: Vec<NameCount>,
    /// Bytes of different values by label name, the largest first.
    pub bytes_by_label: Vec<NameCount>,
    /// Series by `name=value`, the largest first.
    pub series_by_pair: Vec<NameCount>,
}

/// A name with how often it was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameCount {
    /// What was counted.
    pub name: String,
    /// How often.
    pub count: u64,
}

impl NameCount {
    pub(crate) fn new(name: String, count: u64) -> Self {
        Self { name, count }
    }
}
