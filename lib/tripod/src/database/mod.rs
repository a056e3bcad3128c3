//! Spans of database calls.
