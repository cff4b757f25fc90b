//! What the system knows of a process.

use std::fs;
use std::time::Duration;

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// Resident at most.
    pub peak: u64,
}

/// Processor time of all threads that a process has, by the scheduler's own clock, which counts nanoseconds.
pub fn cpu(id: u32) -> Result<Duration, String> {
    let tasks = format!("/proc/{id}/task");
    let tasks = fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))?;
    let of = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Ok(Duration::from_nanos(tasks.flatten().filter_map(|task| of(task.path())).sum()))
}

/// Processor time of all threads that a process has ever had, in hundredths of a second.
pub fn cpu_ever(id: u32) -> Result<Duration, String> {
    let path = format!("/proc/{id}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // Behind the name, which may have anything in it: user and system time are the twelfth and the thirteenth field.
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// The memory of a process.
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

/// The one in the middle; the greater of two.
pub fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// Below which `share` (in thousandths) of the values are.
pub fn percentile<T: Ord + Copy>(sorted: &[T], share: usize) -> Option<T> {
    sorted.get((sorted.len() * share / 1000).min(sorted.len().checked_sub(1)?)).copied()
}

/// Milliseconds with two digits behind the point.
pub fn ms(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

/// Mebibytes with one digit behind the point.
pub fn mib(bytes: u64) -> String {
    format!("{:.1}", f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0)
}
