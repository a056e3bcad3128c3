//! Prometheus' protocols: exposition formats, scraping, remote write, pushes of batch jobs.
//!
//! All of them end in a [`SeriesBatch`](tripod_storage::series::SeriesBatch) for a
//! [`SeriesStore`](tripod_storage::series::SeriesStore). What is absent on purpose: PromQL and the query API.

pub mod discovery;
pub mod exposition;
mod native_histogram;
pub mod otlp;
mod protobuf;
pub mod push;
pub mod relabel;
pub mod remote_write;
pub mod scrape;
mod settings;
mod store;
pub mod units;
pub mod yaml;

pub use settings::Settings;
