//! What makes bytes no message of Prometheus'.

pub(crate) use tripod_protobuf::{Field, Message, zigzag};

use tripod_protobuf::WireError;

/// Why bytes are no message, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl From<WireError> for Malformed {
    #[cold]
    fn from(error: WireError) -> Self {
        Self(error.to_string())
    }
}

#[cold]
pub(crate) fn malformed(message: impl Into<String>) -> Malformed {
    Malformed(message.into())
}

/// Takes lists up to a length.
pub(crate) fn up_to(limit: usize) -> impl Fn(usize) -> Result<(), Malformed> {
    move |held| {
        if held < limit { Ok(()) } else { Err(malformed(format!("a list has more than {limit} elements"))) }
    }
}
