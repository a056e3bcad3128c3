//! Settings from the environment and from code; all mistakes are reported at once.

mod variables;

pub use variables::{Mistake, Mistakes, Variables};
