//! What a process has used, from `/proc`, and how cargo is started.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat`: 100 in every Linux user interface, whatever the kernel counts with.
const TICKS: f64 = 100.0;

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time of all threads, seconds.
    pub(crate) cpu_seconds: f64,
    /// The most that was ever resident, bytes.
    pub(crate) peak_bytes: u64,
    /// What is resident now, bytes.
    pub(crate) resident_bytes: u64,
    /// What of that is no file's, bytes: pages of files go when others need the memory.
    pub(crate) anonymous_bytes: u64,
}

impl Usage {
    /// Reads a process.
    ///
    /// # Errors
    /// When there is no such process, or no Linux.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).with_context(|| format!("\"{path}\" cannot be read; is the process gone?"))
        };
        let stat = read("stat")?;
        let status = read("status")?;
        let kib = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Ok(Self {
            cpu_seconds: cpu_seconds(&stat).with_context(|| format!("/proc/{pid}/stat has another form: {stat}"))?,
            peak_bytes: kib("VmHWM") * 1024,
            resident_bytes: kib("VmRSS") * 1024,
            anonymous_bytes: kib("RssAnon") * 1024,
        })
    }

    /// What this very process has used.
    pub(crate) fn own() -> Result<Self> {
        Self::of(std::process::id())
    }
}

/// The name of a process may hold anything, so fields are counted from the last closing parenthesis.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// Bytes of all files under a directory; 0 when there is none.
pub(crate) fn bytes_under(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// A cargo as a shell would start it. What `cargo run` tells this program of its package would make it build anew what
/// looks at such variables, and all that depends on it.
pub(crate) fn cargo() -> std::process::Command {
    let mut command = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 9 9 20 0 12 0 100";
        assert_eq!(cpu_seconds(stat), Some(4.0));
        assert_eq!(cpu_seconds("nonsense"), None);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = Usage::own().unwrap();
        assert!(usage.peak_bytes > 100_000, "{usage:?}");
    }
}
