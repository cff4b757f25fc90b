//! Embeds the built pages of the console, `web/dist/site`.
//!
//! A release build first builds the pages if Node.js is installed, so that a deployment never has outdated pages. Any
//! other build embeds the pages as they are.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, thread};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The file outside `web/` that `web/build.mjs` reads.
const CONTRACT: &str = "../../infra/openapi.yaml";

fn main() -> Outcome<()> {
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web");
    let dist = web.join("dist");
    let site = dist.join("site");
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("PROFILE")? == "release" && web.join("build.mjs").is_file() {
        if has_node() {
            build(&web)?;
            // Watch only the sources. The build just wrote `dist`, which would start it again each time.
            watch_sources(&web)?;
            return embed(&site);
        }
        println!("cargo::rerun-if-env-changed=PATH");
        // Cargo reruns this script each time if a watched file is missing. So the next build finds Node.js even if it
        // was installed to a folder that is already in PATH.
        println!("cargo::rerun-if-changed={}", dist.join("node").display());
        println!(
            "cargo::warning=Node.js is not installed: this build embeds the console of an earlier build, if any"
        );
    }
    if site.is_dir() {
        println!("cargo::rerun-if-changed={}", site.display());
    } else {
        // Cargo reruns this script each time if a watched folder is missing. So watch the parent folder, which changes
        // when `site` is created.
        let _ = fs::create_dir_all(&dist);
        println!("cargo::rerun-if-changed={}", dist.display());
    }
    embed(&site)
}

fn has_node() -> bool {
    let version = Command::new("node").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Runs `web/build.mjs`. Shows its output as warnings of the build, and its errors as errors.
fn build(web: &Path) -> Outcome<()> {
    let mut node = Command::new("node")
        .arg("build.mjs")
        .current_dir(web)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = node.stderr.take().ok_or("node has no standard error")?;
    // Both pipes are read at the same time. Otherwise node would block as soon as the other pipe is full.
    let errors = thread::spawn(move || BufReader::new(stderr).lines().collect::<Result<Vec<_>, _>>());
    let stdout = node.stdout.take().ok_or("node has no standard output")?;
    for line in BufReader::new(stdout).lines() {
        println!("cargo::warning={}", line?);
    }
    let errors = errors.join().map_err(|_| "the standard error of node cannot be read")??;
    if node.wait()?.success() {
        return Ok(());
    }
    for line in errors {
        println!("cargo::error={line}");
    }
    Err("the console cannot be built: see the errors above, or run `node functions/console/web/build.mjs`"
        .into())
}

/// Makes Cargo rerun this script when a source of the pages changes: all of `web/` but `node_modules` and `dist`.
fn watch_sources(web: &Path) -> Outcome<()> {
    for entry in fs::read_dir(web)? {
        let entry = entry?;
        if !["node_modules", "dist"].iter().any(|name| entry.file_name() == *name) {
            println!("cargo::rerun-if-changed={}", entry.path().display());
        }
    }
    println!("cargo::rerun-if-changed={CONTRACT}");
    Ok(())
}

/// Writes the constant `EMBEDDED`: the files of `site` by path, or nothing if the pages were not built.
///
/// The files are copied first, because another build may replace the folder before the compiler reads them.
fn embed(site: &Path) -> Outcome<()> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let copies = out.join("site");
    if copies.exists() {
        fs::remove_dir_all(&copies)?;
    }
    let mut list = String::new();
    for folder in ["", "assets/"] {
        if !site.join(folder).is_dir() {
            continue;
        }
        fs::create_dir_all(copies.join(folder))?;
        let mut names = Vec::new();
        for entry in fs::read_dir(site.join(folder))? {
            let entry = entry?;
            let name =
                entry.file_name().into_string().map_err(|name| format!("{} is not UTF-8", name.display()))?;
            if entry.file_type()?.is_file() && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let path = format!("{folder}{name}");
            fs::copy(site.join(&path), copies.join(&path))?;
            let copy = format!("/site/{path}");
            writeln!(list, "    ({path:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), {copy:?}))),")?;
        }
    }
    let text = format!(
        "/// The files of the built console, by path.\nstatic EMBEDDED: &[(&str, &[u8])] = &[\n{list}];\n"
    );
    fs::write(out.join("files.rs"), text)?;
    Ok(())
}
