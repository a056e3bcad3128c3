//! The process as Linux sees it: CPU, memory, threads, open files, disk IO. Read from `/proc` at each collection.

use std::fs;

use super::collector::{Collection, Collector};

/// The metrics of this process, by the names of the Prometheus clients where they have one. Elsewhere than on Linux it
/// gives nothing.
#[derive(Debug)]
pub struct ProcessMetrics {
    ticks_per_second: f64,
    page_bytes: f64,
    /// Seconds since the Unix epoch.
    started: Option<f64>,
    max_files: Option<f64>,
}

impl Default for ProcessMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcessMetrics {
    /// Reads what does not change while the process runs.
    pub fn new() -> Self {
        let auxiliary = fs::read("/proc/self/auxv").unwrap_or_default();
        let ticks_per_second = auxiliary_value(&auxiliary, AT_CLKTCK).unwrap_or(100) as f64;
        let page_bytes = auxiliary_value(&auxiliary, AT_PAGESZ).unwrap_or(4096) as f64;
        let booted = fs::read_to_string("/proc/stat").ok().and_then(|stat| {
            stat.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|time| time.trim().parse::<f64>().ok())
        });
        let started = Stat::read().zip(booted).map(|(stat, booted)| booted + stat.start_ticks / ticks_per_second);
        let max_files = fs::read_to_string("/proc/self/limits").ok().and_then(|limits| max_open_files(&limits));
        Self { ticks_per_second, page_bytes, started, max_files }
    }
}

impl Collector for ProcessMetrics {
    fn collect(&self, out: &mut Collection) {
        if let Some(started) = self.started {
            out.since((started * 1e9) as u64);
            out.gauge("process_start_time_seconds", "When the process started, since the Unix epoch", [], started);
        }
        if let Some(stat) = Stat::read() {
            let seconds = stat.cpu_ticks / self.ticks_per_second;
            out.counter("process_cpu_seconds_total", "CPU time of the process, user and system", [], seconds);
            let resident = stat.resident_pages * self.page_bytes;
            out.gauge("process_resident_memory_bytes", "Memory of the process that is in RAM", [], resident);
            out.gauge("process_virtual_memory_bytes", "Address space of the process", [], stat.virtual_bytes);
            out.gauge("process_threads", "Threads of the process", [], stat.threads);
        }
        if let Some(open) = open_files() {
            out.gauge("process_open_fds", "Open file descriptors of the process", [], open);
        }
        if let Some(max) = self.max_files {
            out.gauge("process_max_fds", "File descriptors that the process may open", [], max);
        }
        if let Ok(io) = fs::read_to_string("/proc/self/io") {
            for (line, direction) in [("read_bytes: ", "read"), ("write_bytes: ", "write")] {
                let bytes = io.lines().find_map(|l| l.strip_prefix(line)).and_then(|b| b.trim().parse::<f64>().ok());
                if let Some(bytes) = bytes {
                    let labels = [("direction".into(), direction.into())];
                    out.counter("process_disk_io_bytes_total", "Bytes read from and written to disks", labels, bytes);
                }
            }
        }
    }
}

/// What `/proc/self/stat` says (proc_pid_stat(5)).
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The program's name may hold spaces and parentheses: the fields begin behind the last one. Field 3 is first.
        let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The clock ticks in a second.
const AT_CLKTCK: usize = 17;
/// The bytes in a page.
const AT_PAGESZ: usize = 6;

/// A value of the auxiliary vector (getauxval(3)), which the kernel gives as a file too.
fn auxiliary_value(vector: &[u8], wanted: usize) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().ok().map(usize::from_ne_bytes);
    vector.chunks_exact(2 * WORD).find_map(|pair| {
        let (key, value) = pair.split_at(WORD);
        (word(key)? == wanted).then(|| word(value)).flatten()
    })
}

fn max_open_files(limits: &str) -> Option<f64> {
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_ascii_whitespace().next()?;
    if soft == "unlimited" { Some(f64::INFINITY) } else { soft.parse().ok() }
}

fn open_files() -> Option<f64> {
    // Since Linux 6.2 the size of the directory is the number of open files; counting them is slow when there are many.
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size as f64);
    }
    // One of them is the directory that is being read.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_moves_no_field() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 10 0 0 0 250 50 0 0 20 0 9 0 1234 8192 77 18446744073709551615";
        let stat = Stat::parse(stat).unwrap();
        assert_eq!((stat.cpu_ticks, stat.threads, stat.start_ticks), (300.0, 9.0, 1234.0));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (8192.0, 77.0));
    }

    #[test]
    fn limits_are_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 4096                 files\n";
        assert_eq!(max_open_files(limits), Some(1024.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_has_values_that_can_be() {
        let registry = crate::metrics::Registry::new();
        registry.collect(ProcessMetrics::new());
        let file = tempfile::tempfile().unwrap();
        let snapshot = registry.snapshot();
        let value = |name: &str| snapshot.value(name, &[]).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_open_fds") >= 4.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let started = value("process_start_time_seconds") * 1e9;
        assert!(started < snapshot.time as f64 && started > snapshot.time as f64 - 1e9 * 86_400.0 * 3650.0);
        drop(file);
    }
}
