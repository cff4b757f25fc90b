//! The binary `roster`, which `cargo run` starts: the laptop.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use domain::{Language, Policy};
use http::HeaderValue;
use local::identity_provider::IssuerUrl;
use local::laptop::{Laptop, Options, OtherIssuer};
use local::{console, cors, demo, function_env};
use tracing_subscriber::EnvFilter;

/// Runs Roster on this machine for development: the functions, an embedded DynamoDB, a mailbox, an identity provider
/// and a clock that can be advanced. Listens on 127.0.0.1 only.
#[derive(Parser)]
#[command(name = "roster", version)]
struct Arguments {
    /// The port on 127.0.0.1. 0 takes a free port
    #[arg(long, default_value_t = 4000)]
    port: u16,
    /// Store all data in this file instead of in memory
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Start without the demo organization
    #[arg(long)]
    no_demo: bool,
    /// Remove the limits on inviting and mailing
    #[arg(long)]
    no_limits: bool,
    /// The number of seats of each organization that is created from now on, 1 to 1000. Requires `--no-demo`
    #[arg(long, value_name = "N", default_value_t = Policy::default().seats, requires = "no_demo",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    seats: u32,
    /// The language of mails if the sender did not choose one, and of the console if it has none of the browser's
    /// languages: `en` or `de`
    #[arg(long, value_name = "LANGUAGE", default_value_t)]
    language: Language,
    /// Invoke the functions through Lambda's invoke API at this URL (`cargo lambda watch`) instead of in this process
    #[arg(long, value_name = "URL", value_parser = invoke_url)]
    functions: Option<String>,
    /// Also accept tokens of this issuer: the identity provider's URL, exactly as in its tokens. Requires
    /// `--audience`
    #[arg(long, value_name = "URL", value_parser = IssuerUrl::parse, requires = "audience")]
    issuer: Option<IssuerUrl>,
    /// The audience (`aud`, or else `client_id`) of the tokens of `--issuer`. Can be repeated: a token needs one of them
    #[arg(long, value_name = "AUDIENCE", requires = "issuer", value_parser = NonEmptyStringValueParser::new())]
    audience: Vec<String>,
    /// Allow pages of this origin, such as `http://localhost:5173`, to call the API (CORS) and to sign users in. Can be
    /// repeated
    #[arg(long, value_name = "ORIGIN", value_parser = cors::origin)]
    allow_origin: Vec<HeaderValue>,
    /// Do not build the pages. Serve the pages that are embedded in the binary
    #[arg(long)]
    no_console: bool,
}

/// The text instead of the demo session if the database file has data.
const EXISTING_DATA: &str = "
The database has data of an earlier start, so the laptop did not create the demo organization. For a new one, name a
new file with --db.
";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr fails, there is no other place to report it.
            let _ = writeln!(std::io::stderr(), "roster: {error}");
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
        issuer,
        audience,
        allow_origin: origins,
        no_console,
    } = arguments;
    let storage = db.as_ref().map_or("in memory".to_owned(), |file| format!("in {}", file.display()));
    let clock_file = functions.as_ref().map(|_| PathBuf::from(function_env::CLOCK_FILE));
    let invoke_url = functions.clone();
    let limits = Policy::default().limits.filter(|_| !no_limits);
    let policy = Policy { seats, limits, ..Policy::default() };
    let other_issuer = issuer.map(|issuer| OtherIssuer { issuer, audiences: audience });
    let variables = function_env::Variables { seats, language, has_limits: limits.is_some() };
    let options = Options {
        port,
        db,
        demo: !no_demo,
        policy,
        language,
        functions,
        clock_file,
        identity_provider: other_issuer.clone(),
        origins,
        console: (!no_console).then(|| console::WEB.into()),
        ..Options::default()
    };
    if invoke_url.is_some() {
        function_env::create_folder()?;
    }
    print(&format!(
        "Roster for development, {storage}. Not for production: every user of this machine has full access."
    ));
    let laptop =
        Laptop::start(options, |step| print(&format!("  {:>4} ms  {step}", started.elapsed().as_millis())))
            .await?;
    if invoke_url.is_some() {
        variables.write(laptop.url())?;
    }
    let mut next_steps = invoke_url.map_or_else(String::new, |invoke_url| function_processes(&invoke_url));
    if laptop.has_new_demo() {
        next_steps.push_str(&demo_session(laptop.url()));
    } else if !no_demo {
        next_steps.push_str(EXISTING_DATA);
    }
    print(&welcome(laptop.url(), started.elapsed().as_millis(), other_issuer.as_ref(), &next_steps));
    laptop.build_console(move |line| print(&format!("  {:>4} ms  {line}", started.elapsed().as_millis())))?;
    tokio::signal::ctrl_c().await?;
    print("stopped");
    Ok(())
}

fn welcome(url: &str, ready_ms: u128, other_issuer: Option<&OtherIssuer>, next_steps: &str) -> String {
    let other_issuer = other_issuer.map_or_else(String::new, |OtherIssuer { issuer, audiences }| {
        format!("\n           {} (audience: {})", issuer.as_str(), audiences.join(", "))
    });
    format!(
        "  {ready_ms:>4} ms  ready\n
  Console  {url}/
  API      {url}/v1
  Docs     {url}/docs
  Mailbox  {url}/_dev/mail
  Clock    {url}/_dev/clock
  Issuer   {url}/.well-known/openid-configuration{other_issuer}
  AWS      {url}/_aws   (DynamoDB, SES, EventBridge Scheduler, KMS)
{next_steps}
Stop with Ctrl-C."
    )
}

/// Shell commands that use the demo organization. They work when pasted into bash or zsh, also several times.
///
/// They contain no comments: an interactive zsh passes the words of a comment to the command.
fn demo_session(url: &str) -> String {
    let (owner, owner_email) = demo::OWNER;
    let (invitee, invitee_email) = demo::INVITEE;
    let organization = demo::organization();
    let name = demo::NAME;
    format!(
        r#"
Organization "{name}" has 2 owners, and 312 of its 1,000 seats are taken. Commands to paste into a shell:

  R={url}; ORG=$R/v1/organizations/{organization}
  c() {{ curl -sSw '\n' "$@"; }}
  token() {{ c $R/_dev/token -d "{{\"sub\":\"$1\",\"email\":\"$2\",\"email_verified\":true}}" | cut -d'"' -f4; }}
  mail_token() {{ c $R/_dev/idle >/dev/null; c "$R/_dev/mail?to=$1" | grep -o '"token":"[^"]*' | head -n 1 | cut -d'"' -f4; }}
  OWNER="Authorization: Bearer $(token {owner} {owner_email})"
  YOU="Authorization: Bearer $(token you you@example.com)"
  echo 'The seats; then invite, accept, edit the role, list the owners, and leave:'
  c $ORG -H "$OWNER"
  c $ORG/invitations -H "$OWNER" -d '{{"emails":["you@example.com"],"role":"member"}}'
  c $R/v1/invitations/accept -H "$YOU" -d "{{\"token\":\"$(mail_token you@example.com)\"}}"
  c $ORG/members/you -X PATCH -H "$OWNER" -d '{{"role":"owner"}}'
  c "$ORG/members?role=owner" -H "$OWNER"
  c $ORG/members/you -X DELETE -H "$YOU"
  echo '48 hours and two minutes later, the invitations have expired and their seats are free. Tokens are valid for one hour, so these are new:'
  c $R/_dev/clock -d '{{"advance_seconds":172920}}'
  IVY="Authorization: Bearer $(token {invitee} {invitee_email})"
  c $R/v1/invitations/accept -H "$IVY" -d "{{\"token\":\"$(mail_token {invitee_email})\"}}"
  c $ORG -H "Authorization: Bearer $(token {owner} {owner_email})"
"#
    )
}

/// Explains how to start the processes of the functions.
fn function_processes(invoke_url: &str) -> String {
    format!(
        "
The functions run at {invoke_url}. Start them in another terminal, in the same folder:

  cargo lambda watch -A 127.0.0.1 --env-file {}
",
        function_env::FILE
    )
}

/// Parses the URL of an invoke API: plain HTTP, without a path.
fn invoke_url(text: &str) -> Result<String, String> {
    let url = text.parse::<http::Uri>().ok();
    let is_valid = |url: &http::Uri| {
        url.scheme_str() == Some("http") && url.authority().is_some() && ["", "/"].contains(&url.path())
    };
    match url.filter(is_valid) {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => Err("it must be a URL like http://127.0.0.1:9000".to_owned()),
    }
}

/// Prints progress and results to the standard output.
fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    // If stdout fails, there is no other place to report it.
    let _ = writeln!(output, "{text}");
    if output.is_terminal() {
        let _ = output.flush();
    }
}
