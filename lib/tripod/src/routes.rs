//! The routes of `/metrics` and `/health`.
