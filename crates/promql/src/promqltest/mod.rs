//! Prometheus' test scripts (`promql/promqltest` there): `load` and `clear` fill a store, `eval` compares a query's answer
//! with what stands below it.
//!
//! A script runs against any [`tripod_storage::series::SeriesStore`] through the engine's public face. Expected floats are
//! equal within a millionth; annotations and errors are compared by their text. The language is described in upstream's
//! `promqltest/README.md`; deprecated forms (`eval_fail`, `expected_fail_message`, ...) are read too.

mod compare;
mod fixed;
mod load;
mod run;
mod script;
mod series;
mod text;

pub use run::{InMemory, Outcome, Stores, options};
pub use script::{Script, ScriptError};
