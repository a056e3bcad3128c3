//! Ready-made checks.

#[cfg(feature = "object-store")]
mod bucket;
mod disk;
mod http;
mod memory;
#[cfg(feature = "sqlx")]
mod postgres;

#[cfg(feature = "object-store")]
pub use bucket::bucket;
pub use disk::disk;
pub use http::http_service;
pub use memory::memory;
#[cfg(feature = "sqlx")]
pub use postgres::{extension, postgres};

use super::check::{Outcome, Status};

/// The outcome for a share in use: degraded from 90 percent, unhealthy from 97.
fn by_share(what: &str, used_bytes: u64, total_bytes: u64) -> Outcome {
    let percent = if total_bytes == 0 { 0.0 } else { used_bytes as f64 / total_bytes as f64 * 100.0 };
    let status = match percent {
        97.0.. => Status::Unhealthy,
        90.0.. => Status::Degraded,
        _ => Status::Healthy,
    };
    Outcome { status, message: format!("{what} usage: {percent:.1}%"), details: Vec::new() }
        .detail("used_bytes", used_bytes)
        .detail("total_bytes", total_bytes)
        .detail("usage_percent", (percent * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_thresholds() {
        assert_eq!(by_share("Disk", 50, 100).status, Status::Healthy);
        assert_eq!(by_share("Disk", 90, 100).status, Status::Degraded);
        assert_eq!(by_share("Disk", 97, 100).status, Status::Unhealthy);
        assert_eq!(by_share("Disk", 0, 0).status, Status::Healthy);
        assert_eq!(by_share("Disk", 905, 1000).message, "Disk usage: 90.5%");
    }
}
