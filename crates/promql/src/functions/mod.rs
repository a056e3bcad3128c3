//! The functions of the language.

mod signature;

pub use signature::{Arity, SIGNATURES, Signature, signature};
