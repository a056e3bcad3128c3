//! PromQL: parse, check, print, evaluate.
//!
//! Answers are those of Prometheus 3, annotations and error texts included; its published test scripts are the measure
//! (`cargo xtask conformance promql`). The engine reads through [`tripod_storage::series::SeriesStore`] and so knows no
//! store, no file and no HTTP.

pub mod ast;
pub mod engine;
pub mod functions;
mod lexer;
pub mod literal;
pub mod parser;
pub mod printer;
pub mod promqltest;
