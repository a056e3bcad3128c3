//! The decoders against `prost`, against each other, against damaged input and against published examples.

mod collect;
mod conformance;
mod expected;
mod json_rules;
mod limits;
mod malformed;
mod messages;
mod protobuf_rules;
mod render;
mod roundtrip;
