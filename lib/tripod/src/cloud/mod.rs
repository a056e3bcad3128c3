//! Spans of object storage calls.
