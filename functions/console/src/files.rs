//! The files that `web/build.mjs` makes: `index.html`, `accept.html`, and `assets/NAME-HASH.EXTENSION`, with compressed
//! siblings.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

// EMBEDDED: what the build script has found.
include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// What was built, by path: `index.html`, `assets/index-6A0J2F7K.js`, `assets/index-6A0J2F7K.js.br`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<Cow<'static, str>, Cow<'static, [u8]>>);

impl Files {
    /// What this binary was built with; none if the console was not built before it.
    #[must_use]
    pub fn embedded() -> Option<Self> {
        let file =
            |(path, content): &(&'static str, &'static [u8])| (Cow::Borrowed(*path), Cow::Borrowed(*content));
        (!EMBEDDED.is_empty()).then(|| Self(EMBEDDED.iter().map(file).collect()))
    }

    /// What `folder` holds at this moment; none if it is not there, as between the two renames of a build that
    /// replaces it.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        let mut files = BTreeMap::new();
        for below in ["", "assets/"] {
            match read_into(&mut files, folder, below) {
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
    below: &str,
) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.starts_with('.') && entry.file_type()?.is_file() {
            files.insert(Cow::Owned(format!("{below}{name}")), Cow::Owned(fs::read(entry.path())?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_with_its_assets_and_without_what_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Files::read(&folder.path().join("none")).unwrap(), None);
        assert_eq!(Files::read(folder.path()).unwrap(), None, "nothing is whole without its assets");
        fs::create_dir(folder.path().join("assets")).unwrap();
        for path in ["index.html", ".stamp", "assets/a-1.js", "assets/a-1.js.br", "assets/.b"] {
            fs::write(folder.path().join(path), path).unwrap();
        }
        let files = Files::read(folder.path()).unwrap().unwrap();
        let paths: Vec<_> = files.0.keys().map(AsRef::as_ref).collect();
        assert_eq!(paths, ["assets/a-1.js", "assets/a-1.js.br", "index.html"]);
        assert_eq!(files.0["assets/a-1.js"].as_ref(), b"assets/a-1.js");
    }
}
