//! `cargo run`: Roster on this machine, for development.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use domain::{Language, Policy};
use http::HeaderValue;
use local::laptop::{Laptop, Options};
use local::{console, cors, demo};
use tracing_subscriber::EnvFilter;

/// Roster on this machine, for development: the functions, an embedded DynamoDB, a mailbox, an issuer and a
/// clock that can be advanced. Listens on the loopback only.
#[derive(Parser)]
#[command(name = "roster", version)]
struct Arguments {
    /// The port on 127.0.0.1
    #[arg(long, default_value_t = 4000)]
    port: u16,
    /// Keep everything in this file instead of in memory
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Start without the demo organization
    #[arg(long)]
    no_demo: bool,
    /// Lift the limits on how much may be invited and mailed
    #[arg(long)]
    no_limits: bool,
    /// Organizations founded from now on have so many seats
    #[arg(long, value_name = "N", default_value_t = Policy::default().seats, requires = "no_demo",
          value_parser = clap::value_parser!(u32).range(1..))]
    seats: u32,
    /// The language of mails whose sender has not chosen one: `en` or `de`
    #[arg(long, value_name = "LANGUAGE", default_value_t)]
    language: Language,
    /// Run the functions behind Lambda's invoke API at this URL (`cargo lambda watch`), not in this process
    #[arg(long, value_name = "URL")]
    functions: Option<String>,
    /// Let pages of this origin, such as `http://localhost:5173`, call the API (CORS); may be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = cors::origin)]
    allow_origin: Vec<HeaderValue>,
    /// Build no pages, and serve those that are embedded
    #[arg(long)]
    no_console: bool,
}

/// Where function processes beside the laptop read the clock's offset, as `infra/laptop.env` says too.
const CLOCK_FILE: &str = "target/laptop-clock";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The engine warns of every refusal, and refused guards are this service's daily bread.
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("warn,dynoxide::server=error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("roster: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let Arguments {
        port,
        db,
        no_demo,
        no_limits,
        seats,
        language,
        functions,
        allow_origin: origins,
        no_console,
    } = arguments;
    let kept = db.as_ref().map_or("in memory".to_owned(), |file| format!("in {}", file.display()));
    let clock_file = functions.as_ref().map(|_| PathBuf::from(CLOCK_FILE));
    let limits = Policy::default().limits.filter(|_| !no_limits);
    let policy = Policy { seats, limits, ..Policy::default() };
    let options = Options {
        port,
        db,
        demo: !no_demo,
        policy,
        language,
        functions,
        clock_file,
        origins,
        console: (!no_console).then(|| console::WEB.into()),
        ..Options::default()
    };
    say(&format!(
        "Roster for development, {kept}. Not for production: anybody on this machine may do anything."
    ));
    let laptop =
        Laptop::start(options, |step| say(&format!("  {:>4} ms  {step}", started.elapsed().as_millis())))
            .await?;
    say(&welcome(laptop.url(), started.elapsed().as_millis(), !no_demo));
    laptop.build_console(move |line| say(&format!("  {:>4} ms  {line}", started.elapsed().as_millis())))?;
    tokio::signal::ctrl_c().await?;
    say("stopped");
    Ok(())
}

fn welcome(url: &str, ready_ms: u128, with_demo: bool) -> String {
    let session = if with_demo { session(url) } else { String::new() };
    format!(
        "  {ready_ms:>4} ms  ready\n
  Console  {url}/
  API      {url}/v1
  Mailbox  {url}/_dev/mail
  Clock    {url}/_dev/clock
  Issuer   {url}/.well-known/openid-configuration
  AWS      {url}/_aws   (DynamoDB, SES, EventBridge Scheduler, KMS)
{session}
Stop with Ctrl-C."
    )
}

/// Lines that work when pasted, with the people of the demo organization.
fn session(url: &str) -> String {
    let (owner, owner_email) = demo::OWNER;
    let (invitee, invitee_email) = demo::INVITEE;
    let organization = demo::organization();
    let name = demo::NAME;
    format!(
        r#"
Organization "{name}" has 2 owners, and 312 of its 1,000 seats are taken. A session to paste:

  R={url}; ORG=$R/v1/organizations/{organization}
  c() {{ curl -sw '\n' "$@"; }}
  token() {{ c $R/_dev/token -d "{{\"sub\":\"$1\",\"email\":\"$2\",\"email_verified\":true}}" | sed 's/.*:"\(.*\)".*/\1/'; }}
  mailed() {{ c $R/_dev/idle >/dev/null; c "$R/_dev/mail?to=$1" | sed 's/.*"token":"\([^"]*\)".*/\1/;1q'; }}
  OWNER="Authorization: Bearer $(token {owner} {owner_email})"
  YOU="Authorization: Bearer $(token you you@example.com)"
  c $ORG -H "$OWNER"                                            # seats
  c $ORG/invitations -H "$OWNER" -d '{{"emails":["you@example.com"],"role":"member"}}'
  c $R/v1/invitations/accept -H "$YOU" -d "{{\"token\":\"$(mailed you@example.com)\"}}"
  c $ORG/members/you -X PATCH -H "$OWNER" -d '{{"role":"owner"}}'
  c "$ORG/members?role=owner" -H "$OWNER"
  c $ORG/members/you -X DELETE -H "$YOU"                        # leave
  c $R/_dev/clock -d '{{"advance_seconds":172800}}'               # 48 hours later
  IVY="Authorization: Bearer $(token {invitee} {invitee_email})"
  c $R/v1/invitations/accept -H "$IVY" -d "{{\"token\":\"$(mailed {invitee_email})\"}}"
  c $ORG -H "Authorization: Bearer $(token {owner} {owner_email})"  # seats again
"#
    )
}

/// Progress and answers of a program for people go to its output.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{text}");
    if output.is_terminal() {
        let _ = output.flush();
    }
}
