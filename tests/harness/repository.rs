//! The repository, and Cargo in it.

use std::path::Path;
use std::process::Command;

/// The top of the repository.
#[must_use]
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are below the top")
}

/// Cargo at the top of the repository, as people call it there: without what Cargo tells a test or a binary about its own
/// package. Some build scripts run again when that changes, and half of the tree is built anew behind them.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(top());
    let about_the_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(about_the_package)) {
        cargo.env_remove(name);
    }
    cargo
}
