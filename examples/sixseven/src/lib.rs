//! The backend of the sixseven guide: a command in words becomes a research or a creative job, done by calls to two
//! providers in the background. What the guide lists (log events, spans with their attributes, metrics) is here by its
//! name.

pub mod agents;
pub mod api;
pub mod client;
pub mod drive;
pub mod job;
pub mod orchestrator;
pub mod providers;
pub mod service;
