//! What a host exposes: node-exporter's families, and those of a web service as the dashboards of the field ask for.
//!
//! On a host with node-exporter alone, about a quarter of the series change from scrape to scrape; here it is nearly half,
//! as the service's are in.

use super::values::Kind;

/// The labels by which the series of a family differ within a host.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dimension {
    Host,
    Cpu,
    CpuMode,
    CpuGuest,
    Disk,
    Filesystem,
    Interface,
    Collector,
    Sensor,
    /// Handler, method and status of requests.
    Request,
    Handler,
    Bucket,
    /// Status of commands.
    Command,
}

/// Families that are alike.
pub(super) struct Families {
    pub(super) names: &'static str,
    pub(super) dimension: Dimension,
    pub(super) kind: Kind,
}

const fn families(names: &'static str, dimension: Dimension, kind: Kind) -> Families {
    Families { names, dimension, kind }
}

/// All series of a host, in the order in which it exposes them.
pub(super) const CATALOGUE: &[Families] = &[
    families("node_cpu_seconds_total", Dimension::CpuMode, Kind::Seconds { busy: 0.12 }),
    families("node_cpu_guest_seconds_total", Dimension::CpuGuest, Kind::Constant { up_to: 0.0 }),
    families("node_cpu_scaling_frequency_hertz", Dimension::Cpu, Kind::Level { around: 2.4e9, spread: 3e8, unit: 1e6 }),
    families(
        "node_cpu_scaling_frequency_max_hertz node_cpu_scaling_frequency_min_hertz",
        Dimension::Cpu,
        Kind::Constant { up_to: 4e9 },
    ),
    families(
        "node_schedstat_running_seconds_total node_schedstat_waiting_seconds_total",
        Dimension::Cpu,
        Kind::FineSeconds { busy: 0.2 },
    ),
    families("node_softnet_processed_total", Dimension::Cpu, Kind::Counter { per_second: 900.0 }),
    families(
        "node_softnet_dropped_total node_softnet_times_squeezed_total",
        Dimension::Cpu,
        Kind::Rare { chance: 0.001 },
    ),
    families("node_load1 node_load5 node_load15", Dimension::Host, Kind::Load),
    families(
        "node_memory_MemFree_bytes node_memory_MemAvailable_bytes node_memory_Cached_bytes node_memory_Buffers_bytes \
         node_memory_Active_bytes node_memory_Inactive_bytes node_memory_Active_anon_bytes node_memory_Active_file_bytes \
         node_memory_Inactive_anon_bytes node_memory_Inactive_file_bytes node_memory_AnonPages_bytes \
         node_memory_Mapped_bytes node_memory_Slab_bytes node_memory_SReclaimable_bytes node_memory_SUnreclaim_bytes \
         node_memory_Dirty_bytes node_memory_Committed_AS_bytes node_memory_PageTables_bytes \
         node_memory_KernelStack_bytes node_memory_Shmem_bytes",
        Dimension::Host,
        Kind::Pages { around: 4e9 },
    ),
    families(
        "node_memory_MemTotal_bytes node_memory_SwapTotal_bytes node_memory_SwapFree_bytes node_memory_SwapCached_bytes \
         node_memory_HugePages_Total node_memory_HugePages_Free node_memory_HugePages_Rsvd node_memory_Hugepagesize_bytes \
         node_memory_VmallocTotal_bytes node_memory_VmallocChunk_bytes node_memory_DirectMap4k_bytes \
         node_memory_DirectMap2M_bytes node_memory_DirectMap1G_bytes node_memory_CommitLimit_bytes \
         node_memory_HardwareCorrupted_bytes node_memory_Bounce_bytes node_memory_NFS_Unstable_bytes \
         node_memory_Unevictable_bytes node_memory_Mlocked_bytes node_memory_WritebackTmp_bytes",
        Dimension::Host,
        Kind::Constant { up_to: 6.4e10 },
    ),
    families(
        "node_disk_read_bytes_total node_disk_written_bytes_total",
        Dimension::Disk,
        Kind::Blocks { per_second: 600_000.0 },
    ),
    families(
        "node_disk_reads_completed_total node_disk_writes_completed_total node_disk_writes_merged_total \
         node_disk_flush_requests_total",
        Dimension::Disk,
        Kind::Counter { per_second: 25.0 },
    ),
    families(
        "node_disk_io_time_seconds_total node_disk_io_time_weighted_seconds_total node_disk_read_time_seconds_total \
         node_disk_write_time_seconds_total",
        Dimension::Disk,
        Kind::MilliSeconds { busy: 0.05 },
    ),
    families(
        "node_disk_reads_merged_total node_disk_discards_completed_total node_disk_discards_merged_total \
         node_disk_discarded_sectors_total node_disk_discard_time_seconds_total node_disk_info",
        Dimension::Disk,
        Kind::Constant { up_to: 40.0 },
    ),
    families("node_disk_io_now", Dimension::Disk, Kind::Level { around: 0.6, spread: 2.0, unit: 1.0 }),
    families(
        "node_filesystem_avail_bytes node_filesystem_free_bytes",
        Dimension::Filesystem,
        Kind::Pages { around: 9e10 },
    ),
    families("node_filesystem_files_free", Dimension::Filesystem, Kind::Level { around: 6e6, spread: 90.0, unit: 1.0 }),
    families(
        "node_filesystem_size_bytes node_filesystem_files node_filesystem_readonly node_filesystem_device_error",
        Dimension::Filesystem,
        Kind::Constant { up_to: 2.4e11 },
    ),
    families(
        "node_network_receive_bytes_total node_network_transmit_bytes_total",
        Dimension::Interface,
        Kind::Counter { per_second: 250_000.0 },
    ),
    families(
        "node_network_receive_packets_total node_network_transmit_packets_total",
        Dimension::Interface,
        Kind::Counter { per_second: 700.0 },
    ),
    families("node_network_receive_drop_total", Dimension::Interface, Kind::Rare { chance: 0.01 }),
    families(
        "node_network_receive_errs_total node_network_receive_fifo_total node_network_receive_frame_total \
         node_network_receive_compressed_total node_network_receive_multicast_total node_network_receive_nohandler_total \
         node_network_transmit_drop_total node_network_transmit_errs_total node_network_transmit_fifo_total \
         node_network_transmit_colls_total node_network_transmit_carrier_total node_network_transmit_compressed_total \
         node_network_up node_network_carrier node_network_dormant node_network_mtu_bytes node_network_flags \
         node_network_iface_id node_network_iface_link node_network_iface_link_mode node_network_device_id \
         node_network_net_dev_group node_network_protocol_type node_network_transmit_queue_length \
         node_network_carrier_changes_total node_network_carrier_up_changes_total \
         node_network_carrier_down_changes_total node_network_address_assign_type",
        Dimension::Interface,
        Kind::Constant { up_to: 1500.0 },
    ),
    families(
        "node_context_switches_total node_intr_total node_vmstat_pgfault node_netstat_Ip_Forwarding_total \
         node_netstat_Tcp_InSegs node_netstat_Tcp_OutSegs node_netstat_IpExt_InOctets node_netstat_IpExt_OutOctets",
        Dimension::Host,
        Kind::Counter { per_second: 6_000.0 },
    ),
    families(
        "node_forks_total node_vmstat_pgpgin node_vmstat_pgpgout node_netstat_Tcp_ActiveOpens \
         node_netstat_Tcp_PassiveOpens node_netstat_Udp_InDatagrams node_netstat_Udp_OutDatagrams \
         node_netstat_Tcp_RetransSegs",
        Dimension::Host,
        Kind::Counter { per_second: 9.0 },
    ),
    families(
        "node_vmstat_pgmajfault node_netstat_TcpExt_ListenDrops node_netstat_TcpExt_TCPTimeouts \
         node_netstat_TcpExt_TCPSynRetrans node_netstat_Udp_NoPorts node_netstat_Tcp_OutRsts",
        Dimension::Host,
        Kind::Rare { chance: 0.05 },
    ),
    families(
        "node_sockstat_TCP_alloc node_sockstat_TCP_inuse node_sockstat_TCP_tw node_sockstat_sockets_used \
         node_filefd_allocated node_procs_running node_nf_conntrack_entries node_netstat_Tcp_CurrEstab",
        Dimension::Host,
        Kind::Level { around: 240.0, spread: 40.0, unit: 1.0 },
    ),
    families(
        "node_pressure_cpu_waiting_seconds_total node_pressure_io_waiting_seconds_total \
         node_pressure_memory_waiting_seconds_total",
        Dimension::Host,
        Kind::FineSeconds { busy: 0.03 },
    ),
    families("node_time_seconds", Dimension::Host, Kind::Clock),
    families("node_timex_offset_seconds node_timex_maxerror_seconds", Dimension::Host, Kind::Fraction { around: 1e-4 }),
    families(
        "node_boot_time_seconds node_filefd_maximum node_procs_blocked node_sockstat_TCP_orphan node_sockstat_UDP_mem \
         node_sockstat_RAW_inuse node_sockstat_FRAG_inuse node_sockstat_FRAG_memory node_entropy_available_bits \
         node_entropy_pool_size_bits node_nf_conntrack_entries_limit node_uname_info node_os_info node_os_version \
         node_timex_sync_status node_timex_tick_seconds node_timex_frequency_adjustment_ratio \
         node_timex_loop_time_constant node_timex_pps_error_total node_timex_tai_offset_seconds node_vmstat_oom_kill \
         node_vmstat_pswpin node_vmstat_pswpout node_netstat_Icmp_InErrors node_netstat_Udp_RcvbufErrors \
         node_netstat_Udp_SndbufErrors node_netstat_TcpExt_SyncookiesSent node_netstat_Ip_Forwarding \
         node_exporter_build_info node_textfile_scrape_error node_selinux_enabled node_time_zone_offset_seconds",
        Dimension::Host,
        Kind::Constant { up_to: 262_144.0 },
    ),
    families("node_hwmon_temp_celsius", Dimension::Sensor, Kind::Level { around: 52.0, spread: 4.0, unit: 0.5 }),
    families(
        "node_hwmon_temp_max_celsius node_hwmon_temp_crit_celsius",
        Dimension::Sensor,
        Kind::Constant { up_to: 100.0 },
    ),
    families("node_scrape_collector_duration_seconds", Dimension::Collector, Kind::Fraction { around: 3e-4 }),
    families("node_scrape_collector_success", Dimension::Collector, Kind::Constant { up_to: 1.0 }),
    families("up", Dimension::Host, Kind::Constant { up_to: 1.0 }),
    families("scrape_duration_seconds", Dimension::Host, Kind::Fraction { around: 0.02 }),
    families("process_resident_memory_bytes", Dimension::Host, Kind::Pages { around: 9e7 }),
    families("process_cpu_seconds_total", Dimension::Host, Kind::Seconds { busy: 0.02 }),
    families("process_open_fds go_goroutines", Dimension::Host, Kind::Level { around: 12.0, spread: 3.0, unit: 1.0 }),
    families("http_requests_total", Dimension::Request, Kind::Counter { per_second: 3.0 }),
    families("http_request_duration_seconds_bucket", Dimension::Bucket, Kind::Bucket { per_second: 12.0 }),
    families("http_request_duration_seconds_count", Dimension::Handler, Kind::Bucket { per_second: 12.0 }),
    families("http_request_duration_seconds_sum", Dimension::Handler, Kind::FineSeconds { busy: 1.1 }),
    families("sixseven_commands_total", Dimension::Command, Kind::Counter { per_second: 1.5 }),
];

const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
const CPUS: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
const DISKS: [&str; 3] = ["nvme0n1", "nvme1n1", "dm-0"];
const FILESYSTEMS: [(&str, &str, &str); 5] = [
    ("/dev/nvme0n1p2", "ext4", "/"),
    ("/dev/nvme0n1p1", "vfat", "/boot/efi"),
    ("/dev/mapper/data", "xfs", "/var/lib/data"),
    ("tmpfs", "tmpfs", "/run"),
    ("tmpfs", "tmpfs", "/run/lock"),
];
const INTERFACES: [&str; 5] = ["eth0", "eth1", "lo", "docker0", "wg0"];
const COLLECTORS: [&str; 38] = [
    "arp",
    "bcache",
    "bonding",
    "btrfs",
    "conntrack",
    "cpu",
    "cpufreq",
    "diskstats",
    "dmi",
    "edac",
    "entropy",
    "fibrechannel",
    "filefd",
    "filesystem",
    "hwmon",
    "infiniband",
    "ipvs",
    "loadavg",
    "mdadm",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "nfs",
    "nvme",
    "os",
    "powersupplyclass",
    "pressure",
    "rapl",
    "schedstat",
    "selinux",
    "sockstat",
    "softnet",
    "stat",
    "textfile",
    "time",
    "timex",
    "uname",
];
const SENSORS: [&str; 6] = ["temp1", "temp2", "temp3", "temp4", "temp5", "temp6"];
const HANDLERS: [&str; 6] =
    ["/api/v1/command", "/api/v1/products", "/api/v1/orders/{id}", "/api/v1/search", "/health", "/metrics"];
const REQUESTS: [(&str, &str); 5] = [("GET", "200"), ("GET", "404"), ("POST", "200"), ("POST", "422"), ("POST", "500")];
const COMMANDS: [&str; 3] = ["succeeded", "failed", "cancelled"];
/// Upper bounds of the buckets, with the share of observations at or below each.
pub(super) const BUCKETS: [(&str, f64); 14] = [
    ("0.005", 0.07),
    ("0.01", 0.21),
    ("0.025", 0.43),
    ("0.05", 0.6),
    ("0.075", 0.7),
    ("0.1", 0.77),
    ("0.25", 0.905),
    ("0.5", 0.955),
    ("0.75", 0.973),
    ("1.0", 0.983),
    ("2.5", 0.994),
    ("5.0", 0.998),
    ("10.0", 0.9995),
    ("+Inf", 1.0),
];

/// A series of a host: labels without those of the host, how busy it is beside the others of its family, and what it
/// shares its chance with.
pub(super) struct Member {
    pub(super) labels: Vec<(&'static str, &'static str)>,
    pub(super) share: f64,
    /// Members with the same number draw the same numbers, as the buckets of one histogram must.
    pub(super) chance: Option<usize>,
}

impl Dimension {
    /// The series that a family has on a host.
    pub(super) fn members(self) -> Vec<Member> {
        let one = |labels: Vec<(&'static str, &'static str)>, share| Member { labels, share, chance: None };
        let each = |key: &'static str, values: &[&'static str]| -> Vec<Member> {
            let busy = |place: usize| 1.0 / (place + 1) as f64;
            values.iter().enumerate().map(|(place, value)| one(vec![(key, *value)], busy(place))).collect()
        };
        match self {
            Self::Host => vec![one(Vec::new(), 1.0)],
            Self::Cpu => each("cpu", &CPUS).into_iter().map(|member| Member { share: 1.0, ..member }).collect(),
            Self::CpuMode => CPUS
                .iter()
                .flat_map(|cpu| {
                    // Idle most of the time; some modes hardly ever.
                    let share = |mode: &str| match mode {
                        "idle" => 6.5,
                        "user" => 1.2,
                        "system" => 0.5,
                        "iowait" | "softirq" => 0.05,
                        _ => 0.0,
                    };
                    MODES.iter().map(move |mode| one(vec![("cpu", *cpu), ("mode", *mode)], share(mode)))
                })
                .collect(),
            Self::CpuGuest => CPUS
                .iter()
                .flat_map(|cpu| ["nice", "user"].map(|mode| one(vec![("cpu", *cpu), ("mode", mode)], 1.0)))
                .collect(),
            Self::Disk => each("device", &DISKS),
            Self::Filesystem => FILESYSTEMS
                .iter()
                .map(|(device, fstype, mountpoint)| {
                    one(vec![("device", *device), ("fstype", *fstype), ("mountpoint", *mountpoint)], 1.0)
                })
                .collect(),
            Self::Interface => each("device", &INTERFACES),
            Self::Collector => each("collector", &COLLECTORS),
            Self::Sensor => SENSORS
                .iter()
                .map(|sensor| one(vec![("chip", "platform_coretemp_0"), ("sensor", *sensor)], 1.0))
                .collect(),
            Self::Request => HANDLERS
                .iter()
                .flat_map(|handler| {
                    REQUESTS.iter().map(move |(method, status)| {
                        let share = if *status == "200" { 1.0 } else { 0.02 };
                        one(vec![("handler", *handler), ("method", *method), ("status", *status)], share)
                    })
                })
                .collect(),
            Self::Handler => (0..HANDLERS.len())
                .map(|place| Member { labels: vec![("handler", HANDLERS[place])], share: 1.0, chance: Some(place) })
                .collect(),
            Self::Bucket => (0..HANDLERS.len())
                .flat_map(|place| {
                    BUCKETS.iter().map(move |(bound, share)| Member {
                        labels: vec![("handler", HANDLERS[place]), ("le", *bound)],
                        share: *share,
                        chance: Some(place),
                    })
                })
                .collect(),
            Self::Command => each("status", &COMMANDS),
        }
    }
}
