//! Error tracking.
