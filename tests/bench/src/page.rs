//! The page of results: one section for each thing that is measured, each with the conditions it was measured under.

use local::function_table::FUNCTIONS;
use std::fmt::{self, Display, Write as _};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands before the sections.
const INTRODUCTION: &str = "\
# What Roster costs, measured

Written by `cargo run --release --bin bench`, which measures all of this again; with a section's name, that section alone. Each section
says when and on what it was measured. Counts and ratios carry over to other machines; times do not. [LEVERS.md](LEVERS.md) has what was
done to get here, and what each of it is worth; [COSTS.md](../scenarios/COSTS.md) every count of requests and units.
";

/// What was measured, each against its bound: the table at the end of a section.
pub struct Bounds(String);

impl Bounds {
    /// None yet.
    pub fn new() -> Self {
        Self("\n| bound | measured | kept |\n| --- | --- | --- |\n".to_owned())
    }

    /// Adds one, and whether it is kept.
    pub fn add(&mut self, bound: impl Display, measured: impl Display, kept: bool) {
        let kept = if kept { "yes" } else { "**no**" };
        let _ = writeln!(self.0, "| {bound} | {measured} | {kept} |");
    }
}

impl Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The page.
pub struct Page {
    /// Headings, and what stands below them.
    sections: Vec<(String, String)>,
}

impl Page {
    /// As it was last written; empty, if it never was.
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

    /// Puts results in the place of the earlier ones.
    pub fn put(&mut self, heading: &str, conditions: &str, results: &str) {
        let body = format!("{conditions}\n\n{}", results.trim());
        match self.sections.iter_mut().find(|(present, _)| present == heading) {
            Some((_, present)) => *present = body,
            None => self.sections.push((heading.to_owned(), body)),
        }
    }

    /// Brings the sections into the order of these headings; what none of them is goes first.
    pub fn sort(&mut self, headings: &[&str]) {
        self.sections.sort_by_key(|(heading, _)| headings.iter().position(|known| known == heading));
    }

    /// Writes it.
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

/// Where Cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| harness::top().join("target"), PathBuf::from)
}

/// Builds the release binaries, and says where they are.
pub fn built() -> Result<PathBuf, String> {
    let mut build = harness::cargo();
    build.args(["build", "--release", "--workspace", "--bin", "roster", "--bin", FLOOR]);
    for function in functions() {
        build.args(["--bin", &function]);
    }
    let status = build.status().map_err(|error| format!("cargo does not run: {error}"))?;
    if !status.success() {
        return Err("the release binaries do not build".to_owned());
    }
    Ok(target().join("release"))
}

/// The program that functions are held against.
pub const FLOOR: &str = "floor";

/// Every function's name.
pub fn functions() -> Vec<String> {
    let mut names: Vec<_> = FUNCTIONS.iter().map(|function| function.name.to_owned()).collect();
    names.sort_unstable();
    names
}

/// When, on what, and beside how much else.
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
    Ok(format!("Measured on {date}, on {count} processors ({model}), the load at the start being {load}."))
}
