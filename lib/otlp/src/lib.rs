//! Reads OTLP requests, protobuf and JSON, as borrowed views of the telemetry model.
//!
//! A decoder goes from the request's bytes straight to a [`sink`](tripod_model::sink), one record at a time. Strings
//! and bytes borrow from the request, and the structs that carry a record are reused for the next one, so a record
//! costs no allocation of its own unless it holds nested values or escaped JSON text. The alternative that was turned
//! down is to parse into a tree of owned messages (`prost` structs, `serde_json::Value`) and to walk that.
//!
//! OTLP may put context behind the records that it belongs to: a resource's `schema_url` has a higher field number than
//! its spans, and the members of a JSON object come in any order. Both decoders therefore read the context of a
//! resource, scope or metric first, stepping over the nested records, and then the records.
//!
//! A request is read as a whole or not at all, but records reach the sink before the rest of the request has been
//! seen: a caller must drop what it collected when it gets an [`Err`].
//!
//! Two things are read and not kept, as the specification asks of receivers of these three signals: `key_strindex` of
//! an attribute, and `string_value_strindex` of a value, which reads as [`Value::Empty`](tripod_model::Value::Empty).
//! Both refer to the string table of the profiling signal.

mod error;
pub mod json;
mod limits;
pub mod protobuf;
mod scratch;
mod signal;

pub use error::DecodeError;
pub use limits::Limits;
