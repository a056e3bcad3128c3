//! How numbers, durations and strings are written, in the way of Go's `strconv` and Prometheus' `model.Duration`.

mod duration;
mod number;
mod string;

pub use duration::parse_duration;
pub use number::{format_float, parse_number};
pub(crate) use string::{char_is_printable, quote_char};
pub use string::{lossy, quote, unquote};
pub use tripod_model::series::format_millis;
