//! What tests need from this machine: the repository's folder, Cargo in it, and a free port.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

/// Returns the root folder of the repository.
#[must_use]
pub fn repository_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a subfolder of the root")
}

/// Returns a port on which no process listens.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a port").port()
}

/// Returns a `cargo` command in the root folder, without the variables that Cargo sets for the package of a test.
///
/// Some build scripts run again when one of these variables changes, and then Cargo rebuilds many dependent crates.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(repository_root());
    let is_of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_package)) {
        cargo.env_remove(name);
    }
    cargo
}
