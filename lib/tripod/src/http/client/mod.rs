//! The `reqwest` middleware.
