//! Prometheus' protocols: exposition formats, scraping, remote write, pushes of batch jobs.
//!
//! All of them end in a [`SeriesBatch`](tripod_storage::series::SeriesBatch) for a
//! [`SeriesStore`](tripod_storage::series::SeriesStore). What is absent on purpose: PromQL and the query API.

pub mod exposition;
mod native_histogram;
mod protobuf;
pub mod remote_write;
mod store;
