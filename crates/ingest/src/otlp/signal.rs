/// The three kinds of requests, in the words of the protocol and of what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
    Metrics,
}

impl Signal {
    /// The name in what is counted.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// What a request holds, in words for the sender.
    pub(super) fn records(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
            Self::Metrics => "data points",
        }
    }

    /// The field of the answer that counts what was not kept, in JSON.
    pub(super) fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}
