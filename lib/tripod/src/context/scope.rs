//! The context of the running task, and how it gets there.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Poll, ready};

use pin_project_lite::pin_project;

use super::{Context, Parent, SpanContext};
use crate::field::{Name, Value};

thread_local! {
    static CURRENT: RefCell<Slot> = const { RefCell::new(Slot { context: Context(None), over: None }) };
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// What a task has in the thread's slot while it runs.
#[derive(Clone, Debug, Default)]
struct Slot {
    context: Context,
    /// The `tracing` span that was current when the context was entered: the context's parent counts until another span
    /// is entered within.
    over: Option<u64>,
}

/// Exchanges the thread's slot. While the thread ends there is none, and nothing is exchanged.
fn exchange(slot: &mut Slot) {
    let _ = CURRENT.try_with(|current| {
        if let Ok(mut current) = current.try_borrow_mut() {
            std::mem::swap(&mut *current, slot);
        }
    });
}

/// The bound fields and baggage of the running task: the cheap form of [`current`], without the place in the trace.
pub fn bound() -> Context {
    CURRENT.try_with(|slot| slot.borrow().context.clone()).unwrap_or_default()
}

/// The context of the running task: bound fields, baggage, and the current span as the parent of what comes next. Hand it
/// to whoever does the work and let them run it in [`Context::scope`].
pub fn current() -> Context {
    let context = bound();
    match current_parent() {
        Some(parent) if context.parent() != Some(&parent) => context.with_parent(Some(parent)),
        _ => context,
    }
}

/// The ids of the current span: the innermost `tracing` span, or the parent that the context came with.
pub fn current_span() -> Option<SpanContext> {
    current_parent().map(|parent| parent.span)
}

/// The current span as a parent.
fn current_parent() -> Option<Parent> {
    parent_over(current_tracing_id()).or_else(crate::layer::current_parent)
}

/// Binds a field in the running task: every later line of the task has it.
pub fn bind(name: impl Into<Name>, value: impl Into<Value>) {
    let (name, value) = (name.into(), value.into());
    let _ = CURRENT.try_with(|slot| slot.borrow_mut().context.set(name, value));
}

/// Removes a field from the running task.
pub fn unbind(name: &str) {
    let _ = CURRENT.try_with(|slot| slot.borrow_mut().context.remove(name));
}

/// The context's parent, if no other span than the given one was entered since the context was.
pub(crate) fn parent_over(span: Option<u64>) -> Option<Parent> {
    CURRENT
        .try_with(|slot| {
            let slot = slot.borrow();
            slot.context.parent().filter(|_| slot.over == span).cloned()
        })
        .ok()
        .flatten()
}

fn current_tracing_id() -> Option<u64> {
    crate::layer::current_id().map(|id| id.into_u64())
}

/// Keeps what this thread does out of the telemetry, for good: the network thread must not report on itself.
pub(crate) fn silence() {
    let _ = SILENT.try_with(|silent| silent.set(true));
}

/// Whether this thread is silent.
pub(crate) fn is_silent() -> bool {
    SILENT.try_with(Cell::get).unwrap_or(true)
}

impl Context {
    /// Runs a future in this context. What the future binds stays in it.
    pub fn scope<F: Future>(self, future: F) -> Scope<F> {
        Scope { future: Some(future), slot: Slot { context: self, over: None }, dispatch: None }
    }

    /// Runs a closure in this context.
    pub fn run<R>(self, closure: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        closure()
    }

    /// Enters this context on this thread until the guard is dropped. Not to be held over an `await`: use
    /// [`Context::scope`] there.
    pub fn enter(self) -> Entered {
        let over = self.parent().and_then(|_| current_tracing_id());
        let mut outer = Slot { context: self, over };
        exchange(&mut outer);
        Entered { outer, _not_send: std::marker::PhantomData }
    }
}

/// Leaves the context when dropped.
#[must_use]
#[derive(Debug)]
pub struct Entered {
    outer: Slot,
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        exchange(&mut self.outer);
    }
}

pin_project! {
    /// A future in its context.
    #[derive(Debug)]
    pub struct Scope<F> {
        #[pin]
        future: Option<F>,
        slot: Slot,
        // In tests, where each has a subscriber of its own, what is spawned goes on with that of its test.
        dispatch: Option<tracing::Dispatch>,
    }

    impl<F> PinnedDrop for Scope<F> {
        fn drop(this: Pin<&mut Self>) {
            // What a cancelled future logs while it is dropped has its context too.
            let mut this = this.project();
            if this.future.is_some() {
                let _entered = EnteredSlot::new(this.slot);
                this.future.set(None);
            }
        }
    }
}

impl<F> Scope<F> {
    /// The context as the future left it: with all that was bound in it so far.
    pub fn context(&self) -> &Context {
        &self.slot.context
    }
}

/// A slot that is in place while this lives, panics included.
struct EnteredSlot<'a>(&'a mut Slot);

impl<'a> EnteredSlot<'a> {
    fn new(slot: &'a mut Slot) -> Self {
        exchange(slot);
        Self(slot)
    }
}

impl Drop for EnteredSlot<'_> {
    fn drop(&mut self) {
        exchange(self.0);
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _default = this.dispatch.as_ref().map(tracing::dispatcher::set_default);
        // Whatever span is entered around this poll is outside of the context.
        if this.slot.context.parent().is_some() {
            this.slot.over = current_tracing_id();
        }
        let output = {
            let _entered = EnteredSlot::new(this.slot);
            match this.future.as_mut().as_pin_mut() {
                Some(future) => ready!(future.poll(task)),
                // Polled after it was ready, which the contract of futures forbids: never ready again.
                None => return Poll::Pending,
            }
        };
        let _entered = EnteredSlot::new(this.slot);
        this.future.set(None);
        Poll::Ready(output)
    }
}

/// Gives a future the context of the task that calls this, for runtimes and collections that
/// [`spawn`](crate::spawn) does not cover. Its spans become children of the current span.
///
/// The current span itself is not entered: it ends when the caller is done with it, not when the future is. A request
/// that starts a background job would else last as long as the job.
pub fn carry<F: Future>(future: F) -> Scope<F> {
    let dispatch = crate::testing::is_active().then(|| tracing::dispatcher::get_default(Clone::clone));
    Scope { future: Some(future), slot: Slot { context: current(), over: None }, dispatch }
}

/// Gives a closure the context of the task that calls this, for threads and thread pools; see [`carry`].
pub fn carry_fn<R>(closure: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let dispatch = crate::testing::is_active().then(|| tracing::dispatcher::get_default(Clone::clone));
    let context = current();
    move || {
        let _default = dispatch.as_ref().map(tracing::dispatcher::set_default);
        context.run(closure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Option<String> {
        bound().user_id().map(str::to_owned)
    }

    #[tokio::test]
    async fn what_is_bound_stays_in_its_task_over_awaits() {
        let task = |name: &'static str| {
            Context::new().with("request_id", "r").scope(async move {
                bind("user_id", name);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                    assert_eq!(user().as_deref(), Some(name));
                }
                bound()
            })
        };
        let (a, b) = tokio::join!(task("a"), task("b"));
        assert_eq!((a.user_id(), b.user_id()), (Some("a"), Some("b")));
        assert_eq!(a.request_id(), Some("r"));
        assert_eq!(user(), None);
    }

    #[test]
    fn guards_nest_and_panics_leave_nothing_behind() {
        let _outer = Context::new().with("user_id", "outer").enter();
        let caught = std::panic::catch_unwind(|| {
            Context::new().with("user_id", "inner").run(|| panic!("on purpose"));
        });
        assert!(caught.is_err());
        assert_eq!(user().as_deref(), Some("outer"));
    }

    #[tokio::test]
    async fn carried_futures_and_closures_inherit_a_copy() {
        Context::new()
            .with("user_id", "parent")
            .scope(async {
                let child = tokio::spawn(carry(async {
                    let before = user();
                    bind("user_id", "child");
                    before
                }));
                assert_eq!(child.await.unwrap().as_deref(), Some("parent"));
                let thread = std::thread::spawn(carry_fn(user));
                assert_eq!(thread.join().unwrap().as_deref(), Some("parent"));
                assert_eq!(user().as_deref(), Some("parent"));
            })
            .await;
    }

    #[tokio::test]
    async fn a_cancelled_future_is_dropped_in_its_context() {
        struct Noted(std::sync::Arc<parking_lot::Mutex<Option<String>>>);
        impl Drop for Noted {
            fn drop(&mut self) {
                *self.0.lock() = user();
            }
        }
        let seen = std::sync::Arc::new(parking_lot::Mutex::new(None));
        let noted = Noted(seen.clone());
        let mut scope = Box::pin(Context::new().with("user_id", "u").scope(async move {
            let _noted = noted;
            std::future::pending::<()>().await;
        }));
        assert!(std::future::poll_fn(|task| Poll::Ready(scope.as_mut().poll(task))).await.is_pending());
        drop(scope);
        assert_eq!(seen.lock().as_deref(), Some("u"));
    }

    #[test]
    fn a_context_is_bounded() {
        let context = (0..200).fold(Context::new(), |context, n| context.with(format!("n{n}"), n));
        assert_eq!(context.fields().len(), super::super::MAX_FIELDS);
    }
}
