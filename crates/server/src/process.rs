//! What this process uses of the machine, under the names that Prometheus's client libraries have agreed on.
//!
//! Written as text rather than through the recorder, which has no counters of fractions.

use std::fmt::Write;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Reads the process table of the operating system.
#[derive(Debug, Default)]
pub(crate) struct ProcessSampler {
    pid: std::sync::OnceLock<Option<Pid>>,
}

impl ProcessSampler {
    /// Appends the `process_*` metrics of this moment; what the operating system does not tell is left out.
    pub(crate) fn write(&self, text: &mut String) {
        let Some(pid) = *self.pid.get_or_init(|| sysinfo::get_current_pid().ok()) else { return };
        let mut system = System::new();
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        let Some(process) = system.process(pid) else { return };
        let mut metric = |name: &str, kind: &str, help: &str, value: f64| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        };
        let cpu = process.accumulated_cpu_time() as f64 / 1e3;
        metric("process_cpu_seconds_total", "counter", "CPU time spent, user and system, in seconds.", cpu);
        metric("process_resident_memory_bytes", "gauge", "Resident memory in bytes.", process.memory() as f64);
        metric("process_virtual_memory_bytes", "gauge", "Virtual memory in bytes.", process.virtual_memory() as f64);
        let started = process.start_time() as f64;
        metric("process_start_time_seconds", "gauge", "Start of the process, seconds since the Unix epoch.", started);
        if let Some(open) = process.open_files() {
            metric("process_open_fds", "gauge", "Open file descriptors.", open as f64);
        }
        if let Some(most) = process.open_files_limit() {
            metric("process_max_fds", "gauge", "Most file descriptors that may be open.", most as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_sees_itself() {
        let mut text = String::new();
        ProcessSampler::default().write(&mut text);
        let value = |name: &str| -> f64 {
            let line =
                text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{text}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_start_time_seconds") > 1.6e9);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        if cfg!(target_os = "linux") {
            assert!(value("process_open_fds") >= 3.0);
            assert!(value("process_max_fds") >= value("process_open_fds"));
        }
    }
}
