//! A laptop that cannot start says what is wrong, where, and what to do: in one line, on stderr.

use std::net::TcpListener;
use std::process::Command;

use local::database_file::DatabaseFile;

/// Runs the binary, which must fail, and returns its stderr.
fn error_of(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_roster")).args(arguments).output().expect("the binary starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{arguments:?}: {stdout}");
    assert!(!stdout.contains("roster:") && !stderr.contains('\u{1b}'), "{arguments:?}: {stdout}{stderr}");
    stderr.into_owned()
}

#[test]
fn names_the_port_that_is_in_use() {
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let error = error_of(&["--port", &port]);
    assert_eq!(
        error,
        format!("roster: port {port} is in use by another program: choose another one with --port\n")
    );
}

#[test]
fn names_the_database_file_that_is_in_use_or_foreign() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("roster.db");
    let path = file.to_str().unwrap();
    let open = DatabaseFile::open(&file).unwrap();
    let error = error_of(&["--port", "0", "--db", path]);
    assert_eq!(
        error,
        format!(
            "roster: {path} is in use by another laptop: stop that one, or name another file with --db\n"
        )
    );
    drop(open);
    std::fs::write(&file, "not a database").unwrap();
    let error = error_of(&["--port", "0", "--db", path]);
    assert_eq!(
        error,
        format!("roster: {path} is not a database of the laptop: name another file with --db\n")
    );
}

#[test]
fn refuses_arguments_that_would_fail_at_the_first_call() {
    for (arguments, part) in [
        (&["--functions", "foo"][..], "a URL like http://127.0.0.1:9000"),
        (&["--functions", "https://127.0.0.1:9000"], "a URL like http://127.0.0.1:9000"),
        (&["--no-demo", "--seats", "5000"], "5000 is not in 1..=1000"),
        (&["--no-demo", "--seats", "0"], "0 is not in 1..=1000"),
        (&["--allow-origin", "*"], "--allow-origin"),
    ] {
        let error = error_of(arguments);
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}
