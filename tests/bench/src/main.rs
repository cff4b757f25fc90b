//! The benchmark. It measures requests and capacity units, cold starts, instructions, throughput, growth and
//! contention, and writes the results to `tests/bench/RESULTS.md`.

#![expect(clippy::print_stdout, reason = "a command-line tool shows its progress")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

mod better_auth;
mod contention;
mod growth;
mod lambda;
mod laptop;
mod load;
mod overhead;
mod page;
mod peers;
mod process;
mod start;
mod wire;
mod workloads;

use page::Page;

/// Measures Roster's performance and costs, and writes the results to `tests/bench/RESULTS.md`.
#[derive(Debug, Parser)]
struct Arguments {
    /// The sections to measure. Default: all. The other sections of the page are kept.
    sections: Vec<Section>,
    /// The directory of the release binaries. Default: builds them first.
    #[arg(long, value_name = "DIRECTORY")]
    binaries: Option<PathBuf>,
    /// Prints the page instead of writing it.
    #[arg(long)]
    print: bool,
}

/// The timeout of a section.
const SECTION_MAX: Duration = Duration::from_mins(15);

/// A section of the results page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// AWS requests, capacity units and bytes of each action.
    Wire,
    /// Cold start, memory and size of the functions' binaries.
    Start,
    /// Throughput and latency of Better Auth, for comparison.
    Peer,
    /// Time, CPU and instructions of an invocation without the time in AWS.
    Overhead,
    /// Throughput and latency of the laptop (the local server started by `cargo run`).
    Laptop,
    /// The laptop with larger organizations and tables.
    Growth,
    /// A simulation of concurrent transactions on the same items.
    Contention,
}

impl Section {
    /// The heading of the section.
    fn heading(self) -> &'static str {
        match self {
            Self::Wire => "Requests and capacity",
            Self::Start => "Cold start, memory, size",
            Self::Peer => "A peer",
            Self::Overhead => "Outside the store",
            Self::Laptop => "The laptop, over HTTP",
            Self::Growth => "Growth",
            Self::Contention => "Contention",
        }
    }

    /// Measures the section. Returns the results as Markdown, without the heading.
    async fn measure(self, binaries: &Path) -> Result<String, String> {
        match self {
            Self::Wire => wire::measure().await,
            Self::Start => start::measure(binaries).await,
            Self::Peer => better_auth::measure().await,
            Self::Overhead => overhead::measure(binaries).await,
            Self::Laptop => laptop::measure(binaries).await,
            Self::Growth => growth::measure(binaries).await,
            Self::Contention => contention::measure().await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(Arguments { sections, binaries, print }: Arguments) -> Result<(), String> {
    let sections = if sections.is_empty() { Section::value_variants().to_vec() } else { sections };
    let binaries = match binaries {
        Some(binaries) => binaries,
        None => page::build_binaries()?,
    };
    let mut page = Page::read()?;
    let measured = Section::value_variants().iter().map(|section| section.heading());
    let order: Vec<_> = measured.chain([page::MEMORY]).collect();
    for section in sections {
        println!("== {}", section.heading());
        let conditions = page::conditions()?;
        let measured = tokio::time::timeout(SECTION_MAX, section.measure(&binaries)).await;
        let results =
            measured.map_err(|_| format!("the section `{}` exceeds its timeout", section.heading()))??;
        println!("{results}");
        page.put(section.heading(), &conditions, &results);
        page.sort(&order);
        if !print {
            page.write()?;
        }
    }
    if print {
        println!("{page}");
    }
    Ok(())
}
