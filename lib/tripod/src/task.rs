//! Starting tasks that keep their context.

use std::future::Future;

use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::context::{Scope, carry, carry_fn};

/// As [`tokio::spawn`], with the context of the task that calls it: ids, bound fields, baggage, and the current span as
/// the parent of the new task's spans. The current span itself ends without waiting for the task.
///
/// # Panics
/// As [`tokio::spawn`], when there is no runtime.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    tokio::spawn(carry(future))
}

/// As [`tokio::task::spawn_blocking`], with the context of the task that calls it; see [`spawn`].
///
/// # Panics
/// As [`tokio::task::spawn_blocking`], when there is no runtime.
pub fn spawn_blocking<R: Send + 'static>(closure: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    tokio::task::spawn_blocking(carry_fn(closure))
}

/// Tasks of a [`JoinSet`] that keep the context; see [`spawn`].
pub trait JoinSetExt<T> {
    /// As [`JoinSet::spawn`].
    fn spawn_in_context<F: Future<Output = T> + Send + 'static>(&mut self, future: F) -> AbortHandle
    where
        T: Send;

    /// As [`JoinSet::spawn_blocking`].
    fn spawn_blocking_in_context(&mut self, closure: impl FnOnce() -> T + Send + 'static) -> AbortHandle
    where
        T: Send;
}

impl<T: 'static> JoinSetExt<T> for JoinSet<T> {
    fn spawn_in_context<F: Future<Output = T> + Send + 'static>(&mut self, future: F) -> AbortHandle
    where
        T: Send,
    {
        self.spawn(carry(future))
    }

    fn spawn_blocking_in_context(&mut self, closure: impl FnOnce() -> T + Send + 'static) -> AbortHandle
    where
        T: Send,
    {
        self.spawn_blocking(carry_fn(closure))
    }
}

/// Futures with the context of the task that makes them.
pub trait FutureExt: Future + Sized {
    /// Carries the context of the caller wherever the future runs; see [`spawn`].
    fn in_context(self) -> Scope<Self> {
        carry(self)
    }
}

impl<F: Future> FutureExt for F {}

#[cfg(test)]
mod tests {
    use tracing::{info, info_span};

    use super::*;
    use crate::context::Context;
    use crate::testing::Capture;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn all_ways_to_start_work_keep_the_context() {
        let capture = Capture::new();
        let work = |name: &'static str| move || info_span!("work", otel.name = name).in_scope(|| info!("{name}"));
        let request = async {
            let span = info_span!("request");
            let tasks = span.in_scope(|| {
                let mut set = JoinSet::new();
                let run = work("set");
                set.spawn_in_context(async move {
                    tokio::task::yield_now().await;
                    run();
                });
                set.spawn_blocking_in_context(work("set_blocking"));
                let run = work("spawned");
                (spawn(async move { run() }), spawn_blocking(work("blocking")), set)
            });
            drop(span);
            let (spawned, blocking, set) = tasks;
            spawned.await.unwrap();
            blocking.await.unwrap();
            set.join_all().await;
        };
        capture.attach(Context::new().with("request_id", "r").scope(request)).await;
        let request = capture.span("request");
        for name in ["spawned", "blocking", "set", "set_blocking"] {
            let span = capture.span(name);
            assert_eq!(span.parent, Some(request.context.span_id), "{name}");
            assert_eq!(span.context.trace_id, request.context.trace_id);
            let line = capture.log(name);
            assert_eq!((line.context.request_id(), line.span.as_ref()), (Some("r"), Some(&span.context)));
        }
    }
}
