use std::borrow::Cow;
use std::time::Duration;

/// Why a request was turned away. Each protocol maps it to a status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No token, or not the right one.
    Unauthorized,
    /// The body's format is not one that is read.
    UnsupportedFormat,
    /// The body's compression is not one that is read.
    UnsupportedEncoding,
    /// The request is larger than any that is accepted.
    TooLarge,
    /// The bytes are not framed as the transport demands.
    Framing,
    /// The body ends too early or is not what its compression demands.
    Malformed,
    /// The message breaks a rule of its format.
    Invalid,
    /// The sender paused for too long within the body.
    TimedOut,
    /// There is no room just now.
    Overloaded,
    /// The server is stopping.
    ShuttingDown,
    /// The sender cannot mend it.
    Failed,
}

impl Reason {
    pub(crate) const ALL: [Self; 11] = [
        Self::Unauthorized,
        Self::UnsupportedFormat,
        Self::UnsupportedEncoding,
        Self::TooLarge,
        Self::Framing,
        Self::Malformed,
        Self::Invalid,
        Self::TimedOut,
        Self::Overloaded,
        Self::ShuttingDown,
        Self::Failed,
    ];

    /// The name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::UnsupportedFormat => "unsupported_format",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::TooLarge => "too_large",
            Self::Framing => "framing",
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::TimedOut => "timed_out",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::Failed => "failed",
        }
    }
}

/// A request that was turned away, with what its sender should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// What was wrong and what to do.
    pub(crate) message: Cow<'static, str>,
    /// The field at fault, when it is one.
    pub(crate) field: Option<Violation>,
    /// When to try again; `None` when that is pointless.
    pub(crate) retry_after: Option<Duration>,
}

/// A field of the message that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Where the field is, for example `resourceSpans[0].scopeSpans[0].spans[3].traceId`.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) description: String,
}

/// When to try again after a refusal whose cause usually passes within moments.
pub(crate) const SOON: Duration = Duration::from_secs(1);

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, message: message.into(), field: None, retry_after: None }
    }

    pub(crate) fn overloaded(message: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Reason::Overloaded, message) }
    }

    pub(crate) fn shutting_down() -> Self {
        // Long enough for a successor to start, short enough to lose nothing from a sender's queue.
        let retry_after = Some(Duration::from_secs(5));
        Self { retry_after, ..Self::new(Reason::ShuttingDown, "the server is shutting down; send it again later") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_in_the_order_of_their_numbers() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }
}
