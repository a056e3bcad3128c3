//! OTLP, the OpenTelemetry protocol 1.x, over HTTP (protobuf and JSON) and over gRPC.
//!
//! <https://opentelemetry.io/docs/specs/otlp/>. A request travels alike in both: its head is checked, its body read
//! within the limits, decompressed and decoded into rows, metrics into series (`export`), these are appended, and the
//! answer leaves when they are kept. The transports differ in framing and in how an answer is written (`http`, `grpc`, `response`).

mod export;
mod grpc;
mod http;
mod response;
mod signal;

pub use self::grpc::grpc_router;
pub use self::http::{http_router, metrics_router};
