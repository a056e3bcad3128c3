//! Background jobs: metrics, log lines and a trace from the request that made a job to the job's end.
//!
//! ```
//! use tripod::jobs::JobObserver;
//! use tripod::metrics::Registry;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let observer = JobObserver::builder().build(&Registry::new())?;
//! let job = observer.job_created("550e8400", "research");
//! let task = tokio::spawn(job.run(async |job| {
//!     job.progress(50, "Halfway done");
//!     Ok::<_, std::io::Error>("found")
//! }));
//! assert_eq!(task.await.unwrap().unwrap(), "found");
//! # Ok::<(), tripod::metrics::MetricError>(())
//! # }).unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A job that nobody completes (its task was aborted, its work panicked, a branch forgot it) ends as failed when it is
//! dropped: the gauge of active jobs cannot leak.

mod job;
mod observer;

pub use job::{Completion, Job, JobHandle};
pub use observer::{JobObserver, JobObserverBuilder, JobTrace};
