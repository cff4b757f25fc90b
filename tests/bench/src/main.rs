//! Measures what Roster costs: requests and capacity, starts, instructions, throughput, growth. One command,
//! whose results are the page `tests/bench/RESULTS.md`.

#![expect(clippy::print_stdout, reason = "who measures wants to see how far it is")]

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
mod scenes;
mod start;
mod wire;

use page::Page;

/// Measures what Roster costs, and writes it to `tests/bench/RESULTS.md`.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; everything, if nothing is named. What is not measured keeps its place on the page.
    sections: Vec<Section>,
    /// Where the release binaries are. Without it they are built first.
    #[arg(long, value_name = "DIRECTORY")]
    binaries: Option<PathBuf>,
    /// Measures, and prints the page instead of writing it.
    #[arg(long)]
    print: bool,
}

/// No section takes that long, unless something waits for what never comes.
const SECTION_MAX: Duration = Duration::from_mins(15);

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Requests, capacity units and bytes of each action.
    Wire,
    /// Starts of the functions' processes, their memory and size.
    Start,
    /// What Better Auth takes for the same calls.
    Peer,
    /// What an invocation costs outside the store.
    Overhead,
    /// Throughput and latency of the laptop.
    Laptop,
    /// The same in ever larger organizations and tables.
    Growth,
    /// Many at the same items at once.
    Contention,
}

impl Section {
    /// The heading of its results.
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

    /// Measures; the results as Markdown, without the heading.
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
        Err(why) => {
            println!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(Arguments { sections, binaries, print }: Arguments) -> Result<(), String> {
    let sections = if sections.is_empty() { Section::value_variants().to_vec() } else { sections };
    let binaries = match binaries {
        Some(binaries) => binaries,
        None => page::built()?,
    };
    let mut page = Page::read()?;
    let order: Vec<_> = Section::value_variants().iter().map(|section| section.heading()).collect();
    for section in sections {
        println!("== {}", section.heading());
        let conditions = page::conditions()?;
        let measured = tokio::time::timeout(SECTION_MAX, section.measure(&binaries)).await;
        let results = measured.map_err(|_| format!("{} hangs", section.heading()))??;
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
