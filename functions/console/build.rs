//! Embeds the built console, `web/dist/site`. A release build makes it first, where Node is there, so that no deployment
//! goes out with an older one than its sources say; any other build takes what it finds.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, thread};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What `web/build.mjs` reads besides `web/`.
const CONTRACT: &str = "../../infra/openapi.yaml";

fn main() -> Outcome<()> {
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web");
    let dist = web.join("dist");
    let site = dist.join("site");
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("PROFILE")? == "release" && web.join("build.mjs").is_file() {
        if has_node() {
            build(&web)?;
            // Not what it has made, or the next build would find that changed.
            sources(&web)?;
            return embed(&site);
        }
        println!("cargo::rerun-if-env-changed=PATH");
        // What is not there counts as changed each time: Node may be where PATH looks already.
        println!("cargo::rerun-if-changed={}", dist.join("node").display());
        println!(
            "cargo::warning=there is no Node: the console is embedded as it was built before, if it was"
        );
    }
    if site.is_dir() {
        println!("cargo::rerun-if-changed={}", site.display());
    } else {
        // What is not there counts as changed each time; the folder that it will be in changes once.
        let _ = fs::create_dir_all(&dist);
        println!("cargo::rerun-if-changed={}", dist.display());
    }
    embed(&site)
}

fn has_node() -> bool {
    let version = Command::new("node").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Runs `web/build.mjs`; what it tells is shown with the build's warnings, and what is wrong as its error.
fn build(web: &Path) -> Outcome<()> {
    let mut node = Command::new("node")
        .arg("build.mjs")
        .current_dir(web)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let problems = node.stderr.take().ok_or("node has no standard error")?;
    // Both are read at once, or one that is full would keep it waiting.
    let problems = thread::spawn(move || BufReader::new(problems).lines().collect::<Result<Vec<_>, _>>());
    let progress = node.stdout.take().ok_or("node has no output")?;
    for line in BufReader::new(progress).lines() {
        println!("cargo::warning={}", line?);
    }
    let problems = problems.join().map_err(|_| "what node has to say cannot be read")??;
    if node.wait()?.success() {
        return Ok(());
    }
    for line in problems {
        println!("cargo::error={line}");
    }
    Err("the console cannot be built: see above, or run `node functions/console/web/build.mjs`".into())
}

/// Says that the build is to be made anew when something of `web/` changes, beyond what is made or installed there.
fn sources(web: &Path) -> Outcome<()> {
    for entry in fs::read_dir(web)? {
        let entry = entry?;
        if !["node_modules", "dist"].iter().any(|made| entry.file_name() == *made) {
            println!("cargo::rerun-if-changed={}", entry.path().display());
        }
    }
    println!("cargo::rerun-if-changed={CONTRACT}");
    Ok(())
}

/// Writes `EMBEDDED`: every file of `site` with its path there; nothing where nothing was built. They are copied
/// first, since another build may replace the folder before the compiler reads them.
fn embed(site: &Path) -> Outcome<()> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let copies = out.join("site");
    if copies.exists() {
        fs::remove_dir_all(&copies)?;
    }
    let mut list = String::new();
    for below in ["", "assets/"] {
        if !site.join(below).is_dir() {
            continue;
        }
        fs::create_dir_all(copies.join(below))?;
        let mut names = Vec::new();
        for entry in fs::read_dir(site.join(below))? {
            let entry = entry?;
            let name =
                entry.file_name().into_string().map_err(|name| format!("{} is not UTF-8", name.display()))?;
            if entry.file_type()?.is_file() && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let path = format!("{below}{name}");
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
