//! Embeds the built pages of the console, `web/dist/site`. Builds and fetches nothing.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "src/sources.rs"]
mod sources;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The commands that build the pages.
const BUILD: &str = "in functions/console/web, run `npm ci --ignore-scripts` and `npm run build`";

fn main() -> Outcome<()> {
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web");
    let dist = web.join("dist");
    let site = dist.join("site");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/sources.rs");
    if site.is_dir() {
        println!("cargo::rerun-if-changed={}", site.display());
    } else {
        // Cargo reruns this script each time if a watched folder is missing. So watch the parent folder, which changes
        // when `site` is created.
        let _ = fs::create_dir_all(&dist);
        println!("cargo::rerun-if-changed={}", dist.display());
    }
    if env::var("PROFILE")? == "release" {
        check(&web, &site)?;
    }
    embed(&site)
}

/// Fails if the pages are older than their sources, because a deployment must not have outdated pages.
fn check(web: &Path, site: &Path) -> Outcome<()> {
    for source in sources::SOURCES {
        println!("cargo::rerun-if-changed={}", web.join(source).display());
    }
    if !site.is_dir() {
        println!("cargo::warning=the console has no pages, because they are not built: {BUILD}");
    } else if sources::is_outdated(web)? {
        return Err(format!("the pages of the console are older than their sources: {BUILD}").into());
    }
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
