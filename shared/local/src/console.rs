//! The console on the laptop: whatever `functions/console/web/build.mjs` has made by now, so that work on the pages
//! needs no Rust build; told how to sign people in at the laptop's own issuer.

use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use ::console::{App, Config, Files, Site, SiteError, Token};
use askama::Template;
use domain::Language;

use crate::clock::LocalClock;
use crate::issuer::sign_in;
use crate::mailbox;

/// Where the pages' sources are.
pub const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../functions/console/web");
/// What is shown of a build that failed.
const LINES_SHOWN: usize = 30;
/// Has the page that waits look again. A `<meta>` would not do: with a token behind the address's `#` browsers take a
/// refresh for a jump within the page.
const LOOK_AGAIN: (&str, &str) = ("look-again-1.js", "setTimeout(() => location.reload(), 1000);\n");

/// What the function `console` serves here.
pub struct Console {
    config: Config,
    clock: LocalClock,
    /// The folder of the sources; none if what is embedded is served.
    web: Option<PathBuf>,
    build: Mutex<Build>,
    /// What builds at this moment.
    node: Mutex<Option<Child>>,
}

/// What there is to say while nothing is built.
#[derive(Debug, Clone, Default)]
enum Build {
    #[default]
    None,
    Running(String),
    Failed(Vec<String>),
}

/// A page that stands where the console will be.
#[derive(Template)]
#[template(path = "console.html")]
struct Waiting {
    progress: Option<String>,
    problem: String,
}

/// Why there is nothing to serve.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// What was built is not what can be served.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The folder cannot be read.
    #[error("the built console cannot be read")]
    Read(#[from] io::Error),
    /// The page that stands for it.
    #[error("the page cannot be made")]
    Page(#[from] askama::Error),
}

impl Console {
    /// The console of the laptop at `url`, from `web`, or as it is embedded.
    #[must_use]
    pub fn new(url: &str, clock: LocalClock, language: Language, web: Option<PathBuf>) -> Self {
        let config = Config {
            issuer: url.to_owned(),
            client_id: sign_in::CLIENT.to_owned(),
            authorize_url: format!("{url}{}", sign_in::AUTHORIZE),
            token_url: format!("{url}{}", sign_in::TOKEN),
            sign_out_url: Some(format!("{url}{}", sign_in::SIGN_OUT)),
            scope: "openid email".to_owned(),
            token: Token::AccessToken,
            product: "Roster".to_owned(),
            language,
            mailbox: Some(mailbox::PATH.to_owned()),
        };
        Self { config, clock, web, build: Mutex::default(), node: Mutex::default() }
    }

    /// What the function works with at this moment.
    pub fn app(&self) -> Result<App, ConsoleError> {
        Ok(App { clock: Arc::new(self.clock.clone()), site: self.site()? })
    }

    fn site(&self) -> Result<Site, ConsoleError> {
        let Some(web) = &self.web else { return self.embedded() };
        if let Some(files) = Files::read(&web.join("dist/site"))? {
            return Ok(Site::new(files, &self.config)?);
        }
        let (progress, problem) = match self.state().clone() {
            Build::None => return self.embedded(),
            Build::Running(line) => (Some(line), String::new()),
            Build::Failed(lines) => (None, lines.join("\n")),
        };
        let scripts = if progress.is_some() { &[LOOK_AGAIN][..] } else { &[] };
        Ok(Site::of_one_page(&Waiting { progress, problem }.render()?, scripts)?)
    }

    fn embedded(&self) -> Result<Site, ConsoleError> {
        Ok(match Files::embedded() {
            Some(files) => Site::new(files, &self.config)?,
            None => Site::unbuilt()?,
        })
    }

    fn state(&self) -> MutexGuard<'_, Build> {
        self.build.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds the pages where Node is there, and returns when that is done; `progress` is told what is being done. What
    /// was built before is served meanwhile.
    pub fn build(&self, mut progress: impl FnMut(&str)) {
        let Some(web) = &self.web else { return };
        *self.state() = Build::Running("console: looked at".to_owned());
        let built = self.run(web, |line| {
            progress(line);
            *self.state() = Build::Running(line.to_owned());
        });
        *self.state() = match built {
            Ok(()) => Build::None,
            Err(BuildError::NoNode) => {
                progress("console: not built, since there is no Node");
                Build::None
            }
            Err(BuildError::Failed(lines)) => {
                for line in &lines {
                    progress(line);
                }
                Build::Failed(lines)
            }
        };
    }

    /// Ends a build that is under way.
    pub fn stop(&self) {
        if let Some(node) = &mut *self.node.lock().unwrap_or_else(PoisonError::into_inner) {
            // It may have ended by itself just now.
            let _ = node.kill();
        }
    }

    /// Runs `build.mjs`, which ends at once where there is nothing to do, and waits for another one that runs.
    fn run(&self, web: &Path, mut tell: impl FnMut(&str)) -> Result<(), BuildError> {
        let mut node = Command::new("node");
        node.arg("build.mjs").current_dir(web);
        node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut node = match node.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && web.is_dir() => {
                return Err(BuildError::NoNode);
            }
            spawned => spawned?,
        };
        let (said, complained) = (node.stdout.take(), node.stderr.take());
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
        // Both are read at once, or one that is full would keep it waiting.
        let mut problems = thread::scope(|scope| {
            let problems = scope.spawn(|| lines(complained).collect::<Vec<_>>());
            lines(said).for_each(|line| tell(&line));
            problems.join().unwrap_or_default()
        });
        let node = self.node.lock().unwrap_or_else(PoisonError::into_inner).take();
        if node.map(|mut node| node.wait()).transpose()?.is_some_and(|status| status.success()) {
            return Ok(());
        }
        let last = problems.len().saturating_sub(LINES_SHOWN);
        Err(BuildError::Failed(problems.split_off(last)))
    }
}

enum BuildError {
    NoNode,
    /// The last lines of what Node said.
    Failed(Vec<String>),
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Failed(vec![format!("console: not built: {error}")])
    }
}

fn lines(output: Option<impl Read>) -> impl Iterator<Item = String> {
    let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines().map_while(Result::ok));
    lines.filter(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const URL: &str = "http://127.0.0.1:4000";

    fn console(web: &Path) -> Console {
        Console::new(URL, LocalClock::new(), Language::default(), Some(web.to_owned()))
    }

    fn page(console: &Console) -> String {
        let answer = console.app().unwrap().site.answer("/accept", &http::HeaderMap::new());
        assert_eq!(answer.status(), http::StatusCode::OK);
        String::from_utf8(answer.body().as_ref().to_vec()).unwrap()
    }

    /// A folder whose `build.mjs` is `script`.
    fn web(script: &str) -> tempfile::TempDir {
        let web = tempfile::tempdir().unwrap();
        fs::write(web.path().join("build.mjs"), script).unwrap();
        web
    }

    fn make(site: &Path, title: &str) {
        fs::create_dir_all(site.join("assets")).unwrap();
        for file in ["index.html", "accept.html"] {
            let page = format!("<meta name=\"roster-config\" content=\"\"><title>{title}</title>");
            fs::write(site.join(file), page).unwrap();
        }
    }

    #[test]
    fn what_was_built_is_served_as_it_is_at_that_moment_for_this_laptop() {
        let web = web("");
        let console = console(web.path());
        let before = page(&console);
        let site = web.path().join("dist/site");
        make(&site, "one");
        let served = page(&console);
        assert_ne!(served, before);
        assert!(served.contains("<title>one</title>"), "{served}");
        for told in [
            r#""issuer":"http://127.0.0.1:4000""#,
            r#""client_id":"roster-console""#,
            r#""authorize_url":"http://127.0.0.1:4000/_dev/authorize""#,
            r#""token_url":"http://127.0.0.1:4000/_dev/authorize/token""#,
            r#""mailbox":"/_dev/mail""#,
        ] {
            assert!(served.contains(&told.replace('"', "&quot;")), "{told}: {served}");
        }
        make(&site, "two");
        assert!(page(&console).contains("<title>two</title>"));
    }

    #[test]
    fn a_page_that_cannot_be_served_is_an_error_that_says_why() {
        let web = web("");
        make(&web.path().join("dist/site"), "one");
        fs::remove_file(web.path().join("dist/site/accept.html")).unwrap();
        let error = console(web.path()).app().err().unwrap();
        assert_eq!(error.to_string(), "the built console has no accept.html");
    }

    #[test]
    fn until_it_is_built_the_page_says_so_and_looks_again_by_itself() {
        let web = web("");
        let console = console(web.path());
        *console.state() = Build::Running("console: <bundle> the pages".to_owned());
        let waiting = page(&console);
        let script = r#"<script src="/assets/look-again-1.js" defer></script>"#;
        assert!(waiting.contains(script), "{waiting}");
        let answer = console.app().unwrap().site.answer("/assets/look-again-1.js", &http::HeaderMap::new());
        assert_eq!(answer.body().as_ref(), LOOK_AGAIN.1.as_bytes());
        assert!(waiting.contains("console: &#60;bundle&#62; the pages"), "{waiting}");
        *console.state() = Build::Failed(vec!["error: a".to_owned(), "at b".to_owned()]);
        let failed = page(&console);
        assert!(!failed.contains("<script"), "{failed}");
        assert!(failed.contains("error: a\nat b"), "{failed}");
        // What was built before is better than a page about a build.
        make(&web.path().join("dist/site"), "before");
        assert!(page(&console).contains("<title>before</title>"));
    }

    #[test]
    fn a_build_tells_what_it_does_and_why_it_fails() {
        let told = |script: &str| {
            let web = web(script);
            let console = console(web.path());
            let mut told = Vec::new();
            console.build(|line| told.push(line.to_owned()));
            let state = console.state().clone();
            (told, state)
        };
        let (lines, state) = told("console.log('console: one'); console.log('console: two');");
        assert!(matches!(state, Build::None), "{state:?}");
        if lines == ["console: not built, since there is no Node"] {
            return;
        }
        assert_eq!(lines, ["console: one", "console: two"]);

        let (lines, state) = told("console.error('wrong'); process.exit(1);");
        assert_eq!(lines, ["wrong"]);
        assert!(matches!(&state, Build::Failed(lines) if lines == &["wrong"]), "{state:?}");
    }

    #[test]
    fn a_build_ends_with_the_laptop() {
        let web = web("console.log('console: begun'); setInterval(() => {}, 1000);");
        let console = console(web.path());
        console.build(|line| {
            if line == "console: begun" {
                console.stop();
            }
        });
        assert!(console.node.lock().unwrap().is_none());
    }

    #[test]
    fn what_is_embedded_is_served_without_a_folder_and_nothing_is_built() {
        let console = Console::new(URL, LocalClock::new(), Language::default(), None);
        console.build(|line| panic!("{line}"));
        let served = page(&console);
        assert_eq!(served.contains("roster-config"), Files::embedded().is_some(), "{served}");
    }
}
