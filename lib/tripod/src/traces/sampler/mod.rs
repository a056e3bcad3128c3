//! Which traces are recorded: the samplers of the OpenTelemetry specification, and rules for routes before them.

use std::fmt::Debug;

use super::SpanKind;
use crate::context::{Parent, TraceId};
use crate::field::{Name, Value};

mod rules;

pub use rules::{Action, InvalidRules, Rule, Rules};

/// What is known of a span that begins.
#[derive(Clone, Copy, Debug)]
pub struct Beginning<'a> {
    /// The parent outside this process, if there is one. Spans below a local parent are decided with it.
    pub parent: Option<&'a Parent>,
    /// The trace that it belongs to or begins.
    pub trace_id: TraceId,
    /// Its name.
    pub name: &'a str,
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// The attributes that it begins with.
    pub attributes: &'a [(Name, Value)],
}

/// Decides whether a local root, and with it all spans below it in this process, is recorded.
pub trait Sampler: Debug + Send + Sync + 'static {
    /// Whether it is recorded and exported.
    fn sample(&self, span: &Beginning<'_>) -> bool;

    /// Whether requests that this sampler did not choose may be kept when they fail or are slow. Not so when the user
    /// asked for none at all.
    fn may_keep(&self) -> bool {
        true
    }
}

/// Records everything (`always_on`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlwaysOn;

/// Records nothing (`always_off`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlwaysOff;

/// Records a share of all traces, by trace id (`traceidratio`): services that share a ratio choose the same traces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceIdRatio {
    /// Trace ids whose right-most 56 bits reach this are recorded.
    threshold: u64,
}

/// Does as the parent did, and asks another sampler where there is none (`parentbased_*`).
#[derive(Debug)]
pub struct ParentBased<S = AlwaysOn> {
    root: S,
}

/// The bits of a trace id that W3C Trace Context level 2 says are random.
const RANDOM_BITS: u32 = 56;

impl Sampler for AlwaysOn {
    fn sample(&self, _: &Beginning<'_>) -> bool {
        true
    }
}

impl Sampler for AlwaysOff {
    fn sample(&self, _: &Beginning<'_>) -> bool {
        false
    }

    fn may_keep(&self) -> bool {
        false
    }
}

impl TraceIdRatio {
    /// A share from 0 to 1; what is outside is taken as the nearer of both.
    pub fn new(ratio: f64) -> Self {
        let all = (1u64 << RANDOM_BITS) as f64;
        // NaN records everything: losing data silently is worse.
        let refused = if ratio.is_nan() { 0.0 } else { 1.0 - ratio.clamp(0.0, 1.0) };
        Self { threshold: (refused * all) as u64 }
    }

    /// Whether a trace is recorded.
    pub fn keeps(&self, trace_id: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g] = trace_id.0;
        u64::from_be_bytes([0, a, b, c, d, e, f, g]) >= self.threshold
    }
}

impl Sampler for TraceIdRatio {
    fn sample(&self, span: &Beginning<'_>) -> bool {
        self.keeps(span.trace_id)
    }
}

impl<S> ParentBased<S> {
    /// Asks this sampler about roots.
    pub fn new(root: S) -> Self {
        Self { root }
    }
}

impl Default for ParentBased {
    fn default() -> Self {
        Self::new(AlwaysOn)
    }
}

impl<S: Sampler> Sampler for ParentBased<S> {
    fn sample(&self, span: &Beginning<'_>) -> bool {
        span.parent.map_or_else(|| self.root.sample(span), |parent| parent.span.is_sampled())
    }

    fn may_keep(&self) -> bool {
        self.root.may_keep()
    }
}

impl<S: Sampler + ?Sized> Sampler for Box<S> {
    fn sample(&self, span: &Beginning<'_>) -> bool {
        (**self).sample(span)
    }

    fn may_keep(&self) -> bool {
        (**self).may_keep()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{SpanContext, SpanId, TraceFlags, TraceState};

    fn beginning(trace_id: TraceId, parent: Option<&Parent>) -> Beginning<'_> {
        Beginning { parent, trace_id, name: "", kind: SpanKind::Internal, attributes: &[] }
    }

    #[test]
    fn a_ratio_keeps_its_share_and_is_consistent() {
        let ids: Vec<_> = (0..20_000).map(|_| TraceId::random()).collect();
        for ratio in [0.01, 0.1, 0.5, 0.9] {
            let sampler = TraceIdRatio::new(ratio);
            let kept = ids.iter().filter(|id| sampler.keeps(**id)).count() as f64 / ids.len() as f64;
            assert!((kept - ratio).abs() < 0.02, "{ratio}: {kept}");
            let lower = TraceIdRatio::new(ratio / 2.0);
            assert!(ids.iter().filter(|id| lower.keeps(**id)).all(|id| sampler.keeps(*id)));
        }
        assert!(ids.iter().all(|id| TraceIdRatio::new(1.0).keeps(*id)));
        assert!(!ids.iter().any(|id| TraceIdRatio::new(0.0).keeps(*id)));
        assert!(TraceIdRatio::new(f64::NAN).keeps(TraceId([1; 16])));
    }

    #[test]
    fn the_parent_decides_where_there_is_one() {
        let sampler = ParentBased::new(AlwaysOff);
        let parent = |flags| {
            let (trace_id, span_id) = (TraceId::random(), SpanId::random());
            let span = SpanContext { trace_id, span_id, flags: TraceFlags(flags), state: TraceState::default() };
            Parent::remote(span)
        };
        assert!(sampler.sample(&beginning(TraceId::random(), Some(&parent(1)))));
        assert!(!sampler.sample(&beginning(TraceId::random(), Some(&parent(2)))));
        assert!(!sampler.sample(&beginning(TraceId::random(), None)));
        assert!(ParentBased::default().sample(&beginning(TraceId::random(), None)));
    }
}
