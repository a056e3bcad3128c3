//! The memory that the service may use: of its container when that has a limit, else of the machine.

use std::fs;

use super::by_share;
use crate::health::{Check, Outcome};

/// A check `memory`: degraded from 90 percent in use, unhealthy from 97. Optional: the service stays ready.
pub fn memory() -> Check {
    Check::new("memory", || async { inspect() }).optional()
}

fn inspect() -> Outcome {
    let read = |path: &str| fs::read_to_string(path).ok();
    let group = read("/sys/fs/cgroup/memory.max")
        .zip(read("/sys/fs/cgroup/memory.current"))
        .zip(read("/sys/fs/cgroup/memory.stat"))
        .and_then(|((max, current), stat)| of_group(&max, &current, &stat));
    match group.or_else(|| of_machine(&read("/proc/meminfo")?)) {
        Some((used, total)) => by_share("Memory", used, total),
        None => Outcome::degraded("Memory usage is not known on this system"),
    }
}

/// Bytes used and allowed by a control group (v2). Pages of files that the kernel can take back at once do not count.
fn of_group(max: &str, current: &str, stat: &str) -> Option<(u64, u64)> {
    let total = max.trim().parse().ok()?;
    let current: u64 = current.trim().parse().ok()?;
    let files = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse().ok()).unwrap_or(0);
    Some((current.saturating_sub(files), total))
}

/// Bytes used and present in the machine.
fn of_machine(meminfo: &str) -> Option<(u64, u64)> {
    let kibibytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let total = kibibytes("MemTotal")?;
    Some((total.saturating_sub(kibibytes("MemAvailable")?) * 1024, total * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_counts_without_its_file_cache() {
        assert_eq!(of_group("1000\n", "700\n", "anon 300\ninactive_file 250\n"), Some((450, 1000)));
        assert_eq!(of_group("max\n", "700\n", ""), None);
    }

    #[test]
    fn a_machine_counts_what_is_not_available() {
        let meminfo = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    400 kB\n";
        assert_eq!(of_machine(meminfo), Some((600 * 1024, 1000 * 1024)));
    }
}
