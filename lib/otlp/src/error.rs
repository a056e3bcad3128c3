use std::fmt;

use tripod_protobuf::WireError;

pub(crate) type Result<T> = std::result::Result<T, DecodeError>;

/// Why a request was refused, and where in it.
///
/// Prints as `resourceSpans[0].scopeSpans[2].spans[5].traceId: must be 16 bytes, got 3`; where the whole request is at
/// fault there is no path and only the message is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Inner>);

// Boxed so that a `Result` fits into registers: every field of every record passes through one.
#[derive(Clone, PartialEq, Eq)]
struct Inner {
    path: String,
    message: String,
}

impl DecodeError {
    #[cold]
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner { path: String::new(), message: message.into() }))
    }

    /// Where: the field's JSON name with those of all that encloses it, in both formats; empty for the whole request.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What was wrong there.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    fn enclose(mut self, segment: &str) -> Self {
        let path = &mut self.0.path;
        if !path.is_empty() && !path.starts_with('[') {
            path.insert(0, '.');
        }
        path.insert_str(0, segment);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path().is_empty() {
            write!(f, "{}: ", self.path())?;
        }
        f.write_str(self.message())
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl std::error::Error for DecodeError {}

impl From<WireError> for DecodeError {
    #[cold]
    fn from(error: WireError) -> Self {
        Self::new(error.to_string())
    }
}

/// Adds to an error's path while the error travels outwards, so that reading without errors keeps no path at all.
pub(crate) trait Enclose<T> {
    /// The error lies in the field of this name.
    fn field(self, name: &'static str) -> Result<T>;
    /// The error lies in this element of a list.
    fn index(self, index: usize) -> Result<T>;
}

impl<T, E: Into<DecodeError>> Enclose<T> for std::result::Result<T, E> {
    #[inline(always)]
    fn field(self, name: &'static str) -> Result<T> {
        self.map_err(|error| enclose_field(error.into(), name))
    }

    #[inline(always)]
    fn index(self, index: usize) -> Result<T> {
        self.map_err(|error| enclose_index(error.into(), index))
    }
}

#[cold]
#[inline(never)]
fn enclose_field(error: DecodeError, name: &'static str) -> DecodeError {
    error.enclose(name)
}

#[cold]
#[inline(never)]
fn enclose_index(error: DecodeError, index: usize) -> DecodeError {
    error.enclose(&format!("[{index}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_grows_from_the_inside_out() {
        let inner: Result<()> = Err(DecodeError::new("must be 16 bytes, got 3"));
        assert_eq!(inner.clone().unwrap_err().to_string(), "must be 16 bytes, got 3");
        let outer = inner.field("traceId").index(5).field("spans").index(0).field("scopeSpans").unwrap_err();
        assert_eq!(outer.path(), "scopeSpans[0].spans[5].traceId");
        assert_eq!(outer.to_string(), "scopeSpans[0].spans[5].traceId: must be 16 bytes, got 3");
    }
}
