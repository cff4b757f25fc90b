//! What goes for every package.

use std::fs;
use std::path::PathBuf;

use harness::template::file;
use harness::top;

/// Every package's manifest.
fn manifests() -> Vec<PathBuf> {
    let folders = ["functions", "shared", "tests"].map(|name| top().join(name));
    let below = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let packages = below.map(|entry| entry.expect("an entry").path()).chain([top().join("tests")]);
    packages.map(|package| package.join("Cargo.toml")).filter(|manifest| manifest.exists()).collect()
}

#[test]
fn no_package_has_unsafe_code_or_lints_of_its_own() {
    assert!(file("Cargo.toml").contains("\nunsafe_code = \"forbid\"\n"));
    let manifests = manifests();
    assert!(manifests.len() > 15, "{manifests:?}");
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).expect("a manifest can be read");
        assert!(text.contains("\n[lints]\nworkspace = true\n"), "{}", manifest.display());
        assert_eq!(text.matches("[lints").count(), 1, "{}", manifest.display());
    }
}
