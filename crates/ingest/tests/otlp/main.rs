//! The OTLP receivers over real sockets, in front of stores in memory.

mod client;
mod cors;
mod grpc;
mod http;
mod limits;
mod metered;
mod samples;
mod stores;
