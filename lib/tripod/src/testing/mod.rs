//! In-memory sinks and assertions for tests.
