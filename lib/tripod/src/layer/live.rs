//! A span while it is open.

use std::sync::Arc;

use tracing::span::Attributes;

use super::fields::SpanVisitor;
use crate::context::{Parent, SpanContext, SpanId, TraceFlags, TraceId};
use crate::field::{Fields, Name, Value};
use crate::logs::timestamp;
use crate::traces::sampler::{Action, Beginning};
use crate::traces::{Link, SpanData, SpanEvent, SpanLimits, SpanPipeline, Status, Tail, pool};

/// A span while it is open: its ids, and what it holds if it is recorded.
#[derive(Debug)]
pub(crate) struct Live {
    context: SpanContext,
    data: Option<Box<SpanData>>,
    /// Where spans wait whose trace the sampler did not choose.
    tail: Option<Arc<Tail>>,
    is_local_root: bool,
}

/// A span that ended, on its way to the sinks.
pub(crate) struct EndedSpan {
    data: Box<SpanData>,
    tail: Option<Arc<Tail>>,
    is_local_root: bool,
}

impl EndedSpan {
    pub(crate) fn deliver(self, spans: &SpanPipeline) {
        spans.end(self.data, self.tail.as_deref(), self.is_local_root);
    }
}

pub(super) fn begin(spans: Option<&SpanPipeline>, attributes: &Attributes<'_>, parent: Option<Parent>) -> Live {
    let mut context = match &parent {
        Some(parent) => parent.span.clone(),
        None => SpanContext { trace_id: TraceId::random(), flags: TraceFlags::RANDOM, ..SpanContext::default() },
    };
    context.span_id = SpanId::random();
    let unrecorded = |context| Live { context, data: None, tail: None, is_local_root: false };
    let Some(spans) = spans else { return unrecorded(context) };
    let local = parent.as_ref().filter(|parent| !parent.remote);
    if local.is_some_and(|parent| !parent.is_recording()) {
        return unrecorded(context);
    }

    let metadata = attributes.metadata();
    let mut data = pool::take();
    data.parent = parent.as_ref().map(|parent| parent.span.span_id);
    data.parent_is_remote = parent.as_ref().is_some_and(|parent| parent.remote);
    data.name = Name::Borrowed(metadata.name());
    data.scope = Name::Borrowed(metadata.target());
    attributes.record(&mut SpanVisitor::new(&mut data, &spans.limits));

    let is_local_root = local.is_none();
    let (recording, tail) = match local {
        Some(_) => (true, parent.and_then(|parent| parent.tail)),
        None => decide(spans, &mut context, &data, parent.as_ref()),
    };
    if !recording {
        pool::give(data);
        return unrecorded(context);
    }
    data.context = context.clone();
    data.start = timestamp::now();
    Live { context, data: Some(data), tail, is_local_root }
}

/// Whether a local root is recorded, and where it waits if the sampler did not choose it.
fn decide(
    spans: &SpanPipeline,
    context: &mut SpanContext,
    data: &SpanData,
    parent: Option<&Parent>,
) -> (bool, Option<Arc<Tail>>) {
    let beginning = Beginning {
        parent,
        trace_id: context.trace_id,
        name: &data.name,
        kind: data.kind,
        attributes: &data.attributes,
    };
    let rule = spans.rules.decide(&beginning);
    let sampled = match rule {
        Some(action) => action.samples(&beginning),
        None => spans.sampler.sample(&beginning),
    };
    context.flags = context.flags.with_sampled(sampled);
    let may_keep = spans.keep.is_on() && rule != Some(Action::Never) && spans.sampler.may_keep();
    let tail = (!sampled && may_keep).then(Arc::<Tail>::default);
    (sampled || tail.is_some(), tail)
}

impl Parent {
    /// Whether spans below it, in this process, are recorded.
    fn is_recording(&self) -> bool {
        self.span.is_sampled() || self.tail.is_some()
    }
}

impl Live {
    pub(crate) fn context(&self) -> &SpanContext {
        &self.context
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.data.is_some()
    }

    pub(crate) fn data_mut(&mut self) -> Option<&mut SpanData> {
        self.data.as_deref_mut()
    }

    pub(crate) fn add_event(&mut self, limits: &SpanLimits, mut event: SpanEvent) {
        let Some(data) = self.data_mut() else { return };
        if data.events.len() < limits.events {
            event.dropped_attributes += limits.cut(&mut event.attributes, limits.event_attributes);
            data.events.push(event);
        } else {
            data.dropped_events = data.dropped_events.saturating_add(1);
        }
    }

    pub(crate) fn add_link(&mut self, limits: &SpanLimits, context: SpanContext, mut attributes: Fields) {
        let Some(data) = self.data_mut() else { return };
        if data.links.len() < limits.links {
            limits.cut(&mut attributes, limits.link_attributes);
            data.links.push(Link { context, attributes });
        } else {
            data.dropped_links = data.dropped_links.saturating_add(1);
        }
    }

    pub(crate) fn set(&mut self, limits: &SpanLimits, name: Name, value: Value) {
        if let Some(data) = self.data_mut() {
            let (attributes, dropped) = (&mut data.attributes, &mut data.dropped_attributes);
            limits.set(attributes, dropped, name, value);
        }
    }

    /// `Ok` is final, and `Unset` is never set (OpenTelemetry specification, Set Status).
    pub(crate) fn set_status(&mut self, status: Status) {
        if let Some(data) = self.data_mut()
            && data.status != Status::Ok
            && status != Status::Unset
        {
            data.status = status;
        }
    }

    /// The span as a parent of others.
    pub(crate) fn as_parent(&self) -> Parent {
        Parent { span: self.context.clone(), remote: false, tail: self.tail.clone() }
    }

    /// Ends the span, once. Its ids stay, for what is still to come below it.
    pub(crate) fn end(&mut self) -> Option<EndedSpan> {
        let mut data = self.data.take()?;
        // The system's clock may have been set back meanwhile.
        data.end = timestamp::now().max(data.start);
        Some(EndedSpan { data, tail: self.tail.clone(), is_local_root: self.is_local_root })
    }
}
