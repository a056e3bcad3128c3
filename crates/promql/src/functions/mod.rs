//! The functions of the language: a file for each or for a family, and a line in [`SIGNATURES`].

mod changes;
mod classic;
mod convert;
mod dates;
mod eval;
pub(crate) mod histogram;
mod histogram_quantile;
mod histogram_rate;
mod info;
mod instant_rate;
mod math;
mod native_quantile;
mod over_time;
mod rate;
mod regression;
mod relabel;
mod signature;
mod smoothing;
mod sort;
mod time;

pub(crate) use convert::absent_labels;
pub(crate) use eval::Eval;
pub use signature::{Arity, SIGNATURES, Signature, signature};
