//! The results page `tests/bench/RESULTS.md`. Each section contains its conditions: date, machine and load.

use local::function_table::FUNCTIONS;
use std::fmt::{self, Display, Write as _};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The heading of the section that `memory.py` computes from the others.
pub const MEMORY: &str = "Memory";

/// The text before the sections.
const INTRODUCTION: &str = "\
# Benchmark results

`cargo run --release --bin bench` measures everything again and writes this page. With section names as arguments, it measures
only these sections. Each section states its date and machine. Counts and ratios are valid on other machines, times are not.
[OPTIMIZATIONS.md](OPTIMIZATIONS.md) lists the optimizations and the effect of each. [COSTS.md](../scenarios/COSTS.md) lists the requests and capacity
units of each action. `python3 tests/bench/memory.py` computes the section *Memory* from the others.
";

/// The table of bounds at the end of a section, as Markdown.
pub struct Bounds(String);

impl Bounds {
    /// An empty table.
    pub fn new() -> Self {
        Self("\n| bound | measured | met |\n| --- | --- | --- |\n".to_owned())
    }

    /// Adds a bound with the measured value.
    pub fn add(&mut self, bound: impl Display, measured: impl Display, is_met: bool) {
        let is_met = if is_met { "yes" } else { "**no**" };
        let _ = writeln!(self.0, "| {bound} | {measured} | {is_met} |");
    }
}

impl Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The results page.
pub struct Page {
    /// The headings and bodies of the sections.
    sections: Vec<(String, String)>,
}

impl Page {
    /// Reads the page. It is empty if the file does not exist.
    pub fn read() -> Result<Self, String> {
        let path = path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let sections = text.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
        let sections = sections.map(|(heading, body)| (heading.to_owned(), body.trim().to_owned()));
        Ok(Self { sections: sections.collect() })
    }

    /// Adds or replaces a section.
    pub fn put(&mut self, heading: &str, conditions: &str, results: &str) {
        let body = format!("{conditions}\n\n{}", results.trim());
        match self.sections.iter_mut().find(|(present, _)| present == heading) {
            Some((_, present)) => *present = body,
            None => self.sections.push((heading.to_owned(), body)),
        }
    }

    /// Sorts the sections in the order of these headings. Sections with another heading are first.
    pub fn sort(&mut self, headings: &[&str]) {
        self.sections.sort_by_key(|(heading, _)| headings.iter().position(|it| it == heading));
    }

    /// Writes the page to its file.
    pub fn write(&self) -> Result<(), String> {
        let path = path();
        fs::write(&path, self.to_string()).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(INTRODUCTION)?;
        self.sections.iter().try_for_each(|(heading, body)| write!(f, "\n## {heading}\n\n{body}\n"))
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md")
}

/// The directory of Cargo's build output.
pub fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| harness::repository_root().join("target"), PathBuf::from)
}

/// Builds the release binaries, and returns their directory.
pub fn build_binaries() -> Result<PathBuf, String> {
    let mut build = harness::cargo();
    build.args(["build", "--release", "--workspace", "--bin", "roster", "--bin", BASELINE]);
    for function in function_names() {
        build.args(["--bin", &function]);
    }
    let status = build.status().map_err(|error| format!("cargo does not run: {error}"))?;
    if !status.success() {
        return Err("the release binaries do not build".to_owned());
    }
    Ok(target_directory().join("release"))
}

/// The binary with which the functions' instructions are compared: it sends the same requests to AWS and does nothing
/// else.
pub const BASELINE: &str = "baseline";

/// The names of all functions, sorted.
pub fn function_names() -> Vec<String> {
    let mut names: Vec<_> = FUNCTIONS.iter().map(|function| function.name.to_owned()).collect();
    names.sort_unstable();
    names
}

/// The conditions of a measurement: date, processors and load.
pub fn conditions() -> Result<String, String> {
    let read = |path| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let processors = read("/proc/cpuinfo")?;
    let model = processors.lines().find(|line| line.starts_with("model name"));
    let model =
        model.and_then(|line| line.split_once(": ")).map_or("an unnamed processor", |(_, model)| model);
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let load = read("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().map_err(|error| error.to_string())?;
    let date = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    Ok(format!("Measured on {date} on {count} processors ({model}). Load average at the start: {load}."))
}
