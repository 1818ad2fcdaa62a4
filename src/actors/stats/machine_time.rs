//! The uptime of the machine.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use crate::stats::rare_facts::MachineTime;

/// Returns `None` if the system does not provide it.
pub(crate) fn machine_time() -> Option<MachineTime> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
    // Not /proc/uptime, which may be a container's own while the boot is the machine's.
    let up_s = clock_gettime(ClockId::Boottime).tv_sec.try_into().ok()?;
    (!boot.is_empty()).then_some(MachineTime { boot, up_s })
}
