//! Rules for every package of the workspace.

use std::fs;
use std::path::PathBuf;

use harness::repository_root;
use harness::template::read_file;

/// Returns the manifests of all packages.
fn manifests() -> Vec<PathBuf> {
    let folders = ["functions", "shared", "tests"].map(|name| repository_root().join(name));
    let below = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let packages =
        below.map(|entry| entry.expect("an entry").path()).chain([repository_root().join("tests")]);
    packages.map(|package| package.join("Cargo.toml")).filter(|manifest| manifest.exists()).collect()
}

#[test]
fn all_packages_forbid_unsafe_code_and_use_the_workspaces_lints() {
    assert!(read_file("Cargo.toml").contains("\nunsafe_code = \"forbid\"\n"));
    let manifests = manifests();
    assert!(manifests.len() > 15, "{manifests:?}");
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).expect("a manifest can be read");
        assert!(text.contains("\n[lints]\nworkspace = true\n"), "{}", manifest.display());
        assert_eq!(text.matches("[lints").count(), 1, "{}", manifest.display());
    }
}
