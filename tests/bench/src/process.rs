//! CPU time and memory of processes, from `/proc`, and statistics of measured values.

use std::fs;
use std::time::Duration;

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// The current resident memory.
    pub resident: u64,
    /// The maximum resident memory so far.
    pub peak: u64,
}

/// The CPU time of all living threads of a process, in nanoseconds (`schedstat`).
pub fn cpu(id: u32) -> Result<Duration, String> {
    let tasks = format!("/proc/{id}/task");
    let tasks = fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))?;
    let of = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Ok(Duration::from_nanos(tasks.flatten().filter_map(|task| of(task.path())).sum()))
}

/// The CPU time of all threads of a process, including ended ones, with a resolution of 10 ms.
pub fn total_cpu(id: u32) -> Result<Duration, String> {
    let path = format!("/proc/{id}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The name in parentheses may contain any character. User and system time are the 12th and 13th field after it.
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// The memory of a process, in bytes.
pub fn memory(id: u32) -> Result<Memory, String> {
    let path = format!("/proc/{id}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    let bytes = |name| kibibytes(name).map(|kib| kib * 1024).ok_or_else(|| format!("{path} has no {name}"));
    Ok(Memory { resident: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
}

/// The median. Of an even number of values: the greater one of the two in the middle.
pub fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// The percentile of sorted values. `share` is in thousandths: 990 is p99.
pub fn percentile<T: Ord + Copy>(sorted: &[T], share: usize) -> Option<T> {
    sorted.get((sorted.len() * share / 1000).min(sorted.len().checked_sub(1)?)).copied()
}

/// Formats a duration as milliseconds with two decimals.
pub fn ms(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

/// Formats bytes as mebibytes with one decimal.
pub fn mib(bytes: u64) -> String {
    format!("{:.1}", f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0)
}
