//! What tells the three signals' requests apart; their nesting is the same.

/// A field's two names.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    /// As in OTLP/JSON and in the paths of errors.
    pub(crate) json: &'static str,
    /// As in the protocol's `.proto` files.
    pub(crate) proto: &'static str,
}

impl Name {
    /// Is this key the field's name, in either form?
    pub(crate) fn is(&self, key: &str) -> bool {
        key == self.json || key == self.proto
    }
}

/// The names of the three nested lists of a request.
#[derive(Clone, Copy)]
pub(crate) struct Signal {
    pub(crate) resources: Name,
    pub(crate) scopes: Name,
    pub(crate) records: Name,
}

pub(crate) const TRACES: Signal = Signal {
    resources: Name { json: "resourceSpans", proto: "resource_spans" },
    scopes: Name { json: "scopeSpans", proto: "scope_spans" },
    records: Name { json: "spans", proto: "spans" },
};

pub(crate) const LOGS: Signal = Signal {
    resources: Name { json: "resourceLogs", proto: "resource_logs" },
    scopes: Name { json: "scopeLogs", proto: "scope_logs" },
    records: Name { json: "logRecords", proto: "log_records" },
};

pub(crate) const METRICS: Signal = Signal {
    resources: Name { json: "resourceMetrics", proto: "resource_metrics" },
    scopes: Name { json: "scopeMetrics", proto: "scope_metrics" },
    records: Name { json: "metrics", proto: "metrics" },
};
