//! Resource usage of a process according to the system.

use std::path::Path;

/// Seconds of processor time a process has used.
pub fn processor_time(pid: u32) -> f64 {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).expect("a process");
    let behind_name = stat.rsplit(')').next().expect("a name in brackets");
    let ticks: u64 = behind_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("ticks"))
        .sum();
    ticks as f64 / 100.0
}

/// A line of `/proc/PID/status` in megabytes.
pub fn memory(pid: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let kilobytes = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.expect("a number of kB") / 1000.0
}
