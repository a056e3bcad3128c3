//! Receivers: what speaks to the outside, decodes what it gets and appends it to a store.
//!
//! Every protocol is a folder ([`otlp`] is the first) that gives an [`axum::Router`]; the server binds listeners and
//! terminates TLS. What all protocols share lies beside the folders: who may send (`authorization`), how much may be
//! worked on at once (`admission`), how a body is read (`body`, `compression`), on which thread it is decoded
//! (`decoding`), why a request is turned away (`refusal`) and what is counted (`meters`). A protocol maps a refusal to
//! its own status; it never decides on its own what is too much.
//!
//! Nothing queues here. A request that does not fit into the limits is refused at once with a delay after which to try
//! again, and a request is answered only when the store has kept it. The alternative, a queue in front of the store,
//! was turned down: it would hold acknowledged telemetry that a crash loses, or make senders wait for their timeout.
//!
//! What is absent on purpose: how and where rows are stored, listeners, TLS, query APIs.

mod admission;
mod authorization;
mod body;
mod compression;
mod decoding;
mod ingest;
mod meters;
pub mod otlp;
pub mod prometheus;
mod refusal;
mod settings;

pub use ingest::Ingest;
pub use meters::describe;
pub use settings::Settings;
