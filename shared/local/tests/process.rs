//! Tests of a running laptop, as a process of Linux.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The item with the issuer's private key contains this text. A page that reads the key can sign in as any owner.
const ISSUER: &str = r#""kind":{"S":"issuer"}"#;
/// The headers with which a browser sends a request of another site's page.
const FOREIGN: &str = "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n";

/// A running laptop. It is killed when this is dropped.
struct Roster {
    process: Child,
    /// Kept open, so that the laptop can print.
    _stdout: BufReader<ChildStdout>,
}

impl Roster {
    /// Starts a laptop on any free port, and waits until it is ready.
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_roster"))
            .args(["--port", "0", "--no-console"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("Ctrl-C") {
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the laptop ended");
        }
        Self { process, _stdout: stdout }
    }

    /// Returns the addresses at which the process listens.
    fn listeners(&self) -> BTreeSet<SocketAddr> {
        let process = format!("/proc/{}", self.process.id());
        let descriptors = fs::read_dir(format!("{process}/fd")).unwrap();
        let links = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        let sockets: BTreeSet<_> = links.filter_map(|link| inode(link.to_str()?)).collect();
        let mut listeners = BTreeSet::new();
        for table in ["tcp", "tcp6"] {
            let Ok(table) = fs::read_to_string(format!("{process}/net/{table}")) else { continue };
            for row in table.lines().skip(1) {
                let row: Vec<_> = row.split_whitespace().collect();
                let (address, state, inode) = (row[1], row[3], row[9]);
                if state == "0A" && sockets.contains(inode) {
                    listeners.insert(loopback(address));
                }
            }
        }
        listeners
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the inode of a link like `socket:[123]`.
fn inode(link: &str) -> Option<String> {
    Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
}

/// Returns the loopback address with the port of a row like `0100007F:0FA0`.
fn loopback(address: &str) -> SocketAddr {
    let (ip, port) = address.split_once(':').unwrap();
    let port = u16::from_str_radix(port, 16).unwrap();
    if ip.len() == 8 { (Ipv4Addr::LOCALHOST, port).into() } else { (Ipv6Addr::LOCALHOST, port).into() }
}

/// Sends a request, and returns the whole response.
fn send(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

/// Returns the headers of a request to the embedded DynamoDB.
fn dynamodb(operation: &str, content_type: &str) -> String {
    let credential = "AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/dynamodb/aws4_request";
    format!(
        "X-Amz-Target: DynamoDB_20120810.{operation}\r\nContent-Type: {content_type}\r\n\
         X-Amz-Date: 20260101T000000Z\r\nAuthorization: {credential}, SignedHeaders=host, Signature=0\r\n"
    )
}

#[test]
fn a_foreign_page_reads_the_keys_through_no_port() {
    let roster = Roster::start();
    let listeners = roster.listeners();
    let own = r#"{"TableName":"laptop"}"#;
    let key = r#"{"TableName":"laptop","Key":{"kind":{"S":"issuer"},"id":{"S":"key"}}}"#;
    let json = "application/x-amz-json-1.0";

    // A program of the same user may read the table, so the requests below are valid and fail only for their origin.
    let main = *listeners.iter().next().expect("the laptop listens on a port");
    let allowed = send(main, "POST", "/_aws", &dynamodb("Scan", json), own);
    assert!(allowed.starts_with("HTTP/1.1 200") && allowed.contains(ISSUER), "{allowed}");

    for &address in &listeners {
        for path in ["/", "/_aws", "/_aws/"] {
            for (operation, body) in [("Scan", own), ("GetItem", key), ("ListTables", "{}")] {
                for content_type in [json, "text/plain", "application/json"] {
                    let headers = format!("{FOREIGN}{}", dynamodb(operation, content_type));
                    let response = send(address, "POST", path, &headers, body);
                    assert_refused(&format!("{operation} at {address}{path}"), &response);
                }
            }
            let preflight = format!(
                "{FOREIGN}Access-Control-Request-Method: POST\r\n\
                 Access-Control-Request-Headers: x-amz-target,authorization\r\n"
            );
            let response = send(address, "OPTIONS", path, &preflight, "");
            assert_refused(&format!("the preflight at {address}{path}"), &response);
        }
    }
    assert_eq!(listeners.len(), 1, "the laptop listens only on its own port");
}

fn assert_refused(request: &str, response: &str) {
    let status = response.split(' ').nth(1).unwrap_or_default();
    assert!(status.starts_with('4'), "{request}: {response}");
    assert!(!response.to_lowercase().contains("access-control-allow"), "{request}: {response}");
    assert!(!response.contains(ISSUER) && !response.contains("TableNames"), "{request}: {response}");
}

/// Returns the processor time that a process has used, in hundredths of a second (the unit of `/proc` on Linux).
fn processor_time(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The fields after the name, which is in parentheses: the 12th and the 13th are the user time and the system time.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn an_idle_laptop_uses_at_most_half_a_percent_of_a_core() {
    let roster = Roster::start();
    let address = *roster.listeners().iter().next().expect("the laptop listens on a port");
    let idle = send(address, "GET", "/_dev/idle", "", "");
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
    let before = processor_time(roster.process.id());
    std::thread::sleep(Duration::from_secs(4));
    let used = processor_time(roster.process.id()) - before;
    assert!(used <= 2, "{used} hundredths of a second in 4 s");
}
