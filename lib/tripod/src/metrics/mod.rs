//! Counters, gauges and histograms with labels, and their exposition.

/// All metrics of a service. Cloning is cheap and shares.
#[derive(Clone, Debug, Default)]
pub struct Registry {}
