//! Health checks and their JSON.
