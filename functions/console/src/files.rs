//! The files that Vite builds from `web/`: `index.html`, `accept.html` and `assets/NAME-HASH.EXTENSION`. Each asset may
//! have compressed copies next to it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

// Contains `EMBEDDED`, the files that the build script embeds.
include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The built files, by path: `index.html`, `assets/index-6a0j2f7k.js`, `assets/index-6a0j2f7k.js.br`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<Cow<'static, str>, Cow<'static, [u8]>>);

impl Files {
    /// Returns the files that are embedded in this binary. `None` if the pages were not built when it was compiled.
    #[must_use]
    pub fn embedded() -> Option<Self> {
        let file =
            |(path, content): &(&'static str, &'static [u8])| (Cow::Borrowed(*path), Cow::Borrowed(*content));
        (!EMBEDDED.is_empty()).then(|| Self(EMBEDDED.iter().map(file).collect()))
    }

    /// Reads the files in `folder`. `None` if the folder or its `assets` do not exist.
    ///
    /// A build replaces the folder with two renames. Between them the folder does not exist.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        let mut files = BTreeMap::new();
        for subfolder in ["", "assets/"] {
            match read_into(&mut files, folder, subfolder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                read => read?,
            }
        }
        Ok(Some(Self(files)))
    }
}

fn read_into(
    files: &mut BTreeMap<Cow<'static, str>, Cow<'static, [u8]>>,
    folder: &Path,
    subfolder: &str,
) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(subfolder))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.starts_with('.') && entry.file_type()?.is_file() {
            files.insert(Cow::Owned(format!("{subfolder}{name}")), Cow::Owned(fs::read(entry.path())?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_folder_and_its_assets_without_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Files::read(&folder.path().join("none")).unwrap(), None);
        assert_eq!(Files::read(folder.path()).unwrap(), None, "a site without assets is incomplete");
        fs::create_dir(folder.path().join("assets")).unwrap();
        for path in ["index.html", ".packages.json", "assets/a-1.js", "assets/a-1.js.br", "assets/.b"] {
            fs::write(folder.path().join(path), path).unwrap();
        }
        let files = Files::read(folder.path()).unwrap().unwrap();
        let paths: Vec<_> = files.0.keys().map(AsRef::as_ref).collect();
        assert_eq!(paths, ["assets/a-1.js", "assets/a-1.js.br", "index.html"]);
        assert_eq!(files.0["assets/a-1.js"].as_ref(), b"assets/a-1.js");
    }
}
