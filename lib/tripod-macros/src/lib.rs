//! The attribute macro of the `tripod` crate; use it as `tripod::traced`.
