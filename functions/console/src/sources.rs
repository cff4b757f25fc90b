//! The sources of the pages, below `web/`. The build script uses this module, too.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// A page that each build writes, below `web/`.
const BUILT: &str = "dist/site/index.html";
/// The files and folders that the pages are built from, below `web/`.
pub const SOURCES: [&str; 5] = ["src", "pages", "package-lock.json", "tsconfig.json", "vite.config.ts"];

/// Whether the built pages of the folder `web` are older than one of their sources, or do not exist.
pub fn is_outdated(web: &Path) -> io::Result<bool> {
    let built = match web.join(BUILT).metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        metadata => metadata?.modified()?,
    };
    for source in SOURCES {
        if last_change(&web.join(source))? > built {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns when a file was changed last, or the newest file in a folder.
fn last_change(path: &Path) -> io::Result<SystemTime> {
    let metadata = path.metadata()?;
    if metadata.is_file() {
        return metadata.modified();
    }
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in path.read_dir()? {
        let entry = entry?;
        if is_in_pages(&entry.file_name()) {
            newest = newest.max(last_change(&entry.path())?);
        }
    }
    Ok(newest)
}

/// Whether the pages depend on a file. They do not depend on unit tests and on generated types.
fn is_in_pages(name: &OsStr) -> bool {
    name != "openapi.ts" && !name.to_string_lossy().ends_with(".test.ts")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::Duration;

    use super::*;

    #[test]
    fn pages_are_outdated_if_a_source_is_newer_or_if_they_do_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        let web = folder.path();
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let write = |file: &str, age: u64| {
            let file = web.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            File::options()
                .append(true)
                .open(&file)
                .unwrap()
                .set_modified(start + Duration::from_secs(age))
                .unwrap();
        };
        let sources =
            ["src/app/page.ts", "pages/index.html", "package-lock.json", "tsconfig.json", "vite.config.ts"];
        for source in sources {
            write(source, 1);
        }
        assert!(is_outdated(web).unwrap(), "there are no pages");
        write(BUILT, 2);
        assert!(!is_outdated(web).unwrap());
        for unused in
            ["src/openapi.ts", "src/app/page.test.ts", "README.md", "node_modules/vite/package.json"]
        {
            write(unused, 3);
            assert!(!is_outdated(web).unwrap(), "{unused}");
        }
        for source in sources {
            write(source, 3);
            assert!(is_outdated(web).unwrap(), "{source}");
            write(source, 1);
        }
        fs::remove_file(web.join("tsconfig.json")).unwrap();
        assert_eq!(is_outdated(web).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
