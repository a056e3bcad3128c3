//! The space on the file system of a path.

use std::path::PathBuf;

use super::by_share;
use crate::health::{Check, Outcome};

/// A check `disk` of the file system that holds the path: degraded from 90 percent in use, unhealthy from 97. Optional:
/// the service stays ready.
pub fn disk(path: impl Into<PathBuf>) -> Check {
    let path = path.into();
    let check = move || {
        let path = path.clone();
        async move {
            // A network file system may hang: not on the runtime's threads.
            let text = path.display().to_string();
            let result = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&path)).await;
            match result {
                Ok(Ok(space)) => {
                    // What is kept for the superuser is neither used nor available.
                    let used = space.f_blocks.saturating_sub(space.f_bfree).saturating_mul(space.f_frsize);
                    let available = space.f_bavail.saturating_mul(space.f_frsize);
                    by_share("Disk", used, used.saturating_add(available)).detail("path", text)
                }
                Ok(Err(error)) => Outcome::unhealthy(format!("{text}: {error}")),
                Err(_) => Outcome::unhealthy(format!("{text}: the check was cancelled")),
            }
        }
    };
    Check::new("disk", check).optional()
}
