//! Health checks and their JSON.
//!
//! ```
//! use tripod::health::{Check, Health, Outcome, Service};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let health = Health::new(Service::new("1.0.0", "production"));
//! health.add(Check::new("embedding_model", || async {
//!     Outcome::healthy("Embedding model functional, vector size: 512").detail("embedding_dimension", 512)
//! }));
//! let report = health.report().await;
//! assert_eq!(report.http_status(), 200);
//! assert!(report.to_json().contains(r#""details":{"embedding_dimension":512}"#));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Checks run side by side, each with a timeout of its own. A result is kept for a moment, and requests that come while a
//! check runs wait for that run: a hundred probes a second do not become a hundred queries a second.

mod check;
pub mod checks;
mod report;
mod runner;

pub use check::{Check, Outcome, Status};
pub use report::{CheckReport, Report};
pub use runner::{Health, Service};
