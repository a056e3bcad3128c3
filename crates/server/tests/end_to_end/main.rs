//! Starts the real binary and talks to it only as users do: over its ports, its command line and its signals.

mod program;
mod telemetry;

mod command_line;
mod connections;
mod lifecycle;
mod series;
mod signals;
