//! Context of a task: business ids, bound fields, the trace it belongs to, and baggage.
//!
//! A context lives in a thread-local slot that [`Scope`] exchanges whenever a task is polled, so what is bound in a task
//! stays in the task, over every `await`. The alternative, tokio's task-locals, was turned down: they cannot be rebound
//! within a scope, and they tie the context to one runtime.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use crate::field::{Fields, Name, Value};

mod baggage;
mod ids;
pub mod propagation;
pub(crate) mod random;
mod scope;

pub use baggage::Baggage;
pub(crate) use baggage::decode_percent;
pub use ids::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
pub use scope::{Entered, Scope, bind, bound, carry, carry_fn, current, current_span, unbind};
pub(crate) use scope::{is_silent, parent_over, silence};

/// The request in which something happens.
pub const REQUEST_ID: &str = "request_id";
/// The session of a user.
pub const SESSION_ID: &str = "session_id";
/// The background job.
pub const JOB_ID: &str = "job_id";
/// The user.
pub const USER_ID: &str = "user_id";
/// What belongs together across services.
pub const CORRELATION_ID: &str = "correlation_id";

/// Fields that one context binds at most; more are ignored.
pub const MAX_FIELDS: usize = 64;

/// The ids and bound fields of a task, its place in a trace, and its baggage. Cloning is cheap and shares; changing makes
/// a new one.
#[derive(Clone, Debug, Default)]
pub struct Context(Option<Arc<Bound>>);

#[derive(Clone, Debug, Default)]
struct Bound {
    /// In the order in which they were bound.
    fields: Fields,
    baggage: Baggage,
    parent: Option<Parent>,
    lines: Lines,
}

/// What the lines of a context have in common, found out with the first one.
#[derive(Debug, Default)]
struct Lines {
    /// The redactor that found nothing to hide in the fields; 0 for none.
    clean_for: AtomicU64,
    json: OnceLock<Option<Box<[u8]>>>,
}

impl Clone for Lines {
    /// A copy is made in order to be changed.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// The span under which the next spans belong.
#[derive(Clone, Debug)]
pub struct Parent {
    /// Its ids.
    pub span: SpanContext,
    /// Whether it is in another process.
    pub remote: bool,
    /// Where the spans of its trace wait, when it is of this process and not chosen by the sampler.
    pub(crate) tail: Option<Arc<crate::traces::Tail>>,
}

impl Parent {
    /// A span of another process.
    pub fn remote(span: SpanContext) -> Self {
        Self { span, remote: true, tail: None }
    }
}

impl PartialEq for Parent {
    fn eq(&self, other: &Self) -> bool {
        self.span == other.span && self.remote == other.remote
    }
}

impl Context {
    /// A context in which nothing is bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// All bound fields in the order in which they were bound.
    pub fn fields(&self) -> &[(Name, Value)] {
        self.0.as_deref().map_or(&[], |bound| &bound.fields)
    }

    /// The value of a bound field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields().iter().find(|(bound, _)| bound == name).map(|(_, value)| value)
    }

    /// The context with a field bound; one of the same name is replaced and keeps its place.
    #[must_use]
    pub fn with(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.set(name.into(), value.into());
        self
    }

    /// The context without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.remove(name);
        self
    }

    fn set(&mut self, name: Name, value: Value) {
        let fields = &mut self.bound_mut().fields;
        if let Some(field) = fields.iter_mut().find(|(bound, _)| *bound == name) {
            field.1 = value;
        } else if fields.len() < MAX_FIELDS {
            fields.push((name, value));
        }
    }

    fn remove(&mut self, name: &str) {
        if self.get(name).is_some() {
            self.bound_mut().fields.retain(|(bound, _)| bound != name);
        }
    }

    fn bound_mut(&mut self) -> &mut Bound {
        let bound = Arc::make_mut(self.0.get_or_insert_default());
        bound.lines = Lines::default();
        bound
    }

    /// Whether the redactor of this number has found nothing to hide in the fields.
    pub(crate) fn is_clean_for(&self, redactor: u64) -> bool {
        self.0.as_deref().is_none_or(|bound| bound.lines.clean_for.load(Relaxed) == redactor)
    }

    pub(crate) fn set_clean_for(&self, redactor: u64) {
        if let Some(bound) = self.0.as_deref() {
            bound.lines.clean_for.store(redactor, Relaxed);
        }
    }

    /// The fields as lines have them, made by the first line that asks.
    pub(crate) fn json(&self, encode: impl FnOnce(&[(Name, Value)]) -> Option<Box<[u8]>>) -> Option<&[u8]> {
        self.0.as_deref()?.lines.json.get_or_init(|| encode(self.fields())).as_deref()
    }

    /// The id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.get(REQUEST_ID)?.as_str()
    }

    /// The id of the session.
    pub fn session_id(&self) -> Option<&str> {
        self.get(SESSION_ID)?.as_str()
    }

    /// The id of the job.
    pub fn job_id(&self) -> Option<&str> {
        self.get(JOB_ID)?.as_str()
    }

    /// The id of the user.
    pub fn user_id(&self) -> Option<&str> {
        self.get(USER_ID)?.as_str()
    }

    /// The id of what belongs together across services.
    pub fn correlation_id(&self) -> Option<&str> {
        self.get(CORRELATION_ID)?.as_str()
    }

    /// The span under which the next spans belong.
    pub fn parent(&self) -> Option<&Parent> {
        self.0.as_deref()?.parent.as_ref()
    }

    /// The context under a span of another process. Invalid ids leave it as it is.
    #[must_use]
    pub fn with_remote_parent(self, span: SpanContext) -> Self {
        if span.is_valid() { self.with_parent(Some(Parent::remote(span))) } else { self }
    }

    /// The context under a span, or under none: then the next span begins a trace.
    #[must_use]
    pub fn with_parent(mut self, parent: Option<Parent>) -> Self {
        if parent.is_some() || self.parent().is_some() {
            self.bound_mut().parent = parent;
        }
        self
    }

    /// What travels with the request.
    pub fn baggage(&self) -> &Baggage {
        static NONE: std::sync::OnceLock<Baggage> = std::sync::OnceLock::new();
        self.0.as_deref().map_or_else(|| NONE.get_or_init(Baggage::default), |bound| &bound.baggage)
    }

    /// The context with a member of the baggage set.
    #[must_use]
    pub fn with_baggage(mut self, name: &str, value: &str) -> Self {
        self.bound_mut().baggage.set(name, value);
        self
    }

    /// The context as headers for a queue or channel of our own: trace, all baggage, and the five ids. Names are
    /// lower-case; values are visible ASCII. See [`propagation::Propagator`] for calls to others.
    ///
    /// A context taken by [`current`] holds the span that was current then; its headers make the reader's spans children
    /// of that span.
    pub fn to_headers(&self) -> Vec<(Cow<'static, str>, String)> {
        let mut headers = Vec::new();
        propagation::current().inject_trusted(self, &mut headers);
        headers
    }

    /// Reads what [`Context::to_headers`] wrote; headers that are missing or broken are left out.
    pub fn from_headers(headers: &(impl propagation::Headers + ?Sized)) -> Self {
        propagation::current().extract_trusted(headers)
    }
}
