//! Context of a task: business ids, bound fields, the trace it belongs to, and baggage.

use std::sync::Arc;

use crate::field::{Fields, Value};

mod ids;

pub use ids::{SpanContext, SpanId, TraceFlags, TraceId};

/// The ids and bound fields of a task. Cloning is cheap and shares; binding makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Context(Option<Arc<Bound>>);

#[derive(Clone, Debug, Default)]
struct Bound {
    /// `request_id`, `session_id`, `job_id`, `user_id`, `correlation_id` and whatever else was bound, in that order.
    fields: Fields,
}

impl Context {
    /// All bound fields in the order in which they were bound.
    pub fn fields(&self) -> &[(crate::field::Name, Value)] {
        self.0.as_deref().map_or(&[], |bound| &bound.fields)
    }

    /// The value of a bound field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields().iter().find(|(bound, _)| bound == name).map(|(_, value)| value)
    }
}

/// The context of the running task.
pub fn current() -> Context {
    Context::default()
}
