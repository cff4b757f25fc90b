//! Cargo, called from what Cargo runs.

use std::path::Path;
use std::process::Command;

/// Cargo at the top of the workspace, as people call it there: without what Cargo tells a test or a binary about its own
/// package. Some build scripts run again when that changes, and half of the tree is built anew behind them.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let about_the_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(about_the_package)) {
        cargo.env_remove(name);
    }
    cargo
}
