//! The way of a span: sampler, limits, redaction, sinks.

use std::sync::Arc;
use std::time::Instant;

use super::sampler::{ParentBased, Rules, Sampler};
use super::tail::Ended;
use super::{Keep, SpanData, SpanLimits, Status, Tail, pool};
use crate::accounts::{Account, Accounts, Reason};
use crate::redaction::Redactor;

/// Takes finished spans. Spans come redacted.
pub trait SpanSink: Send + Sync + 'static {
    /// Takes one span, of which it copies or encodes what it needs. Never blocks and never fails: what cannot be kept is
    /// counted in the sink's [`Account`](crate::accounts::Account).
    fn emit(&self, span: &SpanData);

    /// Waits until everything that was emitted before is delivered, or until the deadline. True when all was.
    fn flush(&self, deadline: Instant) -> bool;
}

/// Where spans go, and which.
pub struct SpanPipeline {
    pub(crate) sampler: Arc<dyn Sampler>,
    pub(crate) rules: Rules,
    pub(crate) keep: Keep,
    pub(crate) limits: SpanLimits,
    redactor: Redactor,
    sinks: Vec<Arc<dyn SpanSink>>,
    account: Account,
}

impl std::fmt::Debug for SpanPipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpanPipeline")
            .field("sampler", &self.sampler)
            .field("rules", &self.rules)
            .field("keep", &self.keep)
            .field("sinks", &self.sinks.len())
            .finish_non_exhaustive()
    }
}

impl SpanPipeline {
    /// Without sinks; samples as the parent does, and every root. What there was no room to hold back is booked under
    /// `sampler`.
    pub fn new(redactor: Redactor, accounts: &Accounts) -> Self {
        Self {
            sampler: Arc::new(ParentBased::default()),
            rules: Rules::default(),
            keep: Keep::default(),
            limits: SpanLimits::default(),
            redactor,
            sinks: Vec::new(),
            account: accounts.open("sampler", "spans"),
        }
    }

    /// Sets the sampler of local roots.
    #[must_use]
    pub fn with_sampler(mut self, sampler: Arc<dyn Sampler>) -> Self {
        self.sampler = sampler;
        self
    }

    /// Sets the rules that come before the sampler.
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets what is kept although the sampler did not choose it.
    #[must_use]
    pub fn with_keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Sets how much a span may hold.
    #[must_use]
    pub fn with_limits(mut self, limits: SpanLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a sink.
    #[must_use]
    pub fn with_sink(mut self, sink: Arc<dyn SpanSink>) -> Self {
        self.sinks.push(sink);
        self
    }

    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Takes a span that ended; `tail` when the sampler did not choose its trace.
    pub(crate) fn end(&self, span: Box<SpanData>, tail: Option<&Tail>, is_local_root: bool) {
        match tail {
            None => self.emit(span),
            Some(tail) if is_local_root => match tail.root_ended(&self.keep, &span) {
                Some(waited) => waited.into_iter().chain([span]).for_each(|span| self.emit(span)),
                None => pool::give(span),
            },
            Some(tail) => match tail.span_ended(span) {
                Ended::Goes(span) => self.emit(span),
                Ended::Waits => {}
                Ended::Discarded(span) => pool::give(span),
                Ended::NoRoom(span) => {
                    self.account.emit(1);
                    self.account.drop(Reason::QueueFull, 1);
                    pool::give(span);
                }
            },
        }
    }

    /// Redacts, hands over, and lets the memory be used again.
    fn emit(&self, mut span: Box<SpanData>) {
        if !self.sinks.is_empty() {
            self.redact(&mut span);
            self.sinks.iter().for_each(|sink| sink.emit(&span));
        }
        pool::give(span);
    }

    fn redact(&self, span: &mut SpanData) {
        self.redactor.fields(&mut span.attributes);
        span.links.iter_mut().for_each(|link| self.redactor.fields(&mut link.attributes));
        if let Status::Error(message) = &mut span.status
            && let std::borrow::Cow::Owned(redacted) = self.redactor.text(message)
        {
            *message = redacted.into();
        }
        // Static names come from the code; others may hold what a user typed.
        if let std::borrow::Cow::Owned(name) = &mut span.name {
            self.redactor.string(name);
        }
    }

    /// Waits until every sink has delivered what it was given, or until the deadline. True when all was.
    pub fn flush(&self, deadline: Instant) -> bool {
        let mut all = true;
        for sink in &self.sinks {
            all &= sink.flush(deadline);
        }
        all
    }
}
