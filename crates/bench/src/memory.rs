//! What the system says of memory (Linux; elsewhere, or where it is forbidden, nothing).
use crate::cgroup;
use std::path::Path;

/// Bytes that the system could give, and the limits that this process was started with.
pub fn free() -> Option<u64> {
    let system = kilobytes("/proc/meminfo", "MemAvailable:");
    [system, cgroup::free(Path::new("/"))].into_iter().flatten().min()
}

/// The most bytes that the process has held.
pub fn peak() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM:")
}

/// Lets the process's peak start anew; where that is impossible, it stays the peak of the whole.
pub fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Bytes of the line of `path` that begins with `name` and says kilobytes.
fn kilobytes(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb * 1024)
}
