//! How long the machine has been up.

use std::fs;

use crate::stats::rare_facts::MachineTime;

/// Now; unknown where the system does not tell.
pub fn machine_time() -> Option<MachineTime> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let up_s = uptime.split(['.', ' ']).next()?.parse().ok()?;
    (!boot.is_empty()).then_some(MachineTime { boot, up_s })
}
