//! What the laptop prints at its start. If it cannot start, it says what is wrong, where, and what to do: in one line, on
//! stderr.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use dynoxide::Database;
use local::database_file::DatabaseFile;
use rusqlite::Connection;

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

/// Reads the text that a laptop prints until it is ready, and stops the laptop.
fn start_text(arguments: &[&str]) -> String {
    let mut laptop = Command::new(env!("CARGO_BIN_EXE_roster"))
        .args(["--port", "0", "--no-console"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut text = String::new();
    let output = BufReader::new(laptop.stdout.take().expect("the output is a pipe"));
    for line in output.lines().map_while(Result::ok) {
        text.push_str(&line);
        text.push('\n');
        if line.starts_with("Stop with") {
            break;
        }
    }
    laptop.kill().expect("the laptop runs");
    laptop.wait().expect("the laptop ends");
    text
}

#[test]
fn prints_the_demo_session_only_if_the_demo_organization_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roster.db");
    let flags = ["--db", path.to_str().unwrap()];
    let first = start_text(&flags);
    assert!(first.contains("/v1/organizations/org_") && !first.contains("earlier start"), "{first}");
    let second = start_text(&flags);
    assert!(!second.contains("/v1/organizations/org_") && second.contains("earlier start"), "{second}");
    let without_demo = start_text(&["--no-demo"]);
    assert!(!without_demo.contains("org_") && !without_demo.contains("earlier start"), "{without_demo}");
}

#[test]
fn describes_the_file_of_a_newer_version_without_the_words_of_a_library() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("newer.db");
    let path = file.to_str().unwrap();
    drop(Database::new(path).unwrap());
    let update = "UPDATE _config SET value = '999' WHERE key = 'schema_version'";
    assert_eq!(Connection::open(&file).unwrap().execute(update, ()).unwrap(), 1);
    assert_eq!(
        error_of(&["--port", "0", "--db", path]),
        format!(
            "roster: {path} cannot be opened: a newer version of the laptop wrote it, or it is damaged; use that \
             version, or name another file with --db\n"
        )
    );
}

#[test]
fn names_the_identity_provider_that_cannot_be_used() {
    let error = error_of(&["--issuer", "http://login.example.com", "--audience", "my-api"]);
    assert!(error.contains("--issuer") && error.contains("https://login.example.com/"), "{error}");
    let error = error_of(&["--issuer", "https://login.example.com"]);
    assert!(error.contains("--audience"), "{error}");
    let error = error_of(&["--audience", "my-api"]);
    assert!(error.contains("--issuer"), "{error}");
}
