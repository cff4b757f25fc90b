//! The console on the laptop. It serves the pages that `functions/console/web/build.mjs` built last, so that changes of
//! the pages need no Rust build. The pages sign users in at the laptop's issuer.

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

/// The folder with the sources of the pages.
pub const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../functions/console/web");
/// The number of error lines that the page shows after a failed build.
const ERROR_LINES_MAX: usize = 30;
/// The script that reloads the page until the build is done, as (file name, text).
///
/// A `<meta http-equiv="refresh">` does not reload if the address has a fragment, such as a token: browsers then only
/// navigate within the page.
const RELOAD_SCRIPT: (&str, &str) = ("reload-1.js", "setTimeout(() => location.reload(), 1000);\n");

/// The progress line of a build without Node.js.
const NO_NODE: &str = "console: not built, because Node.js is not installed";

/// The site that the function `console` serves on the laptop.
pub struct Console {
    config: Config,
    clock: LocalClock,
    /// The folder with the sources. `None` to serve the embedded pages.
    web: Option<PathBuf>,
    build: Mutex<Build>,
    /// The build process that is running.
    node: Mutex<Option<Child>>,
}

/// The state of the build. The laptop shows it if there are no built pages.
#[derive(Debug, Clone, Default)]
enum Build {
    /// No build is running, and the last one did not fail.
    #[default]
    None,
    /// A build is running. It printed this line last.
    Running(String),
    /// The last build failed with these lines.
    Failed(Vec<String>),
}

/// The page that shows the state of the build.
#[derive(Template)]
#[template(path = "console.html")]
struct BuildPage {
    /// The last line of a running build. `None` if the build failed.
    progress: Option<String>,
    problem: String,
}

/// Why the console cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The built files are not a valid site.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The built files cannot be read.
    #[error("the built console cannot be read")]
    Read(#[from] io::Error),
    /// The page that shows the state of the build cannot be rendered.
    #[error("the page that shows the state of the build cannot be rendered")]
    Page(#[from] askama::Error),
}

impl Console {
    /// Creates the console of the laptop at `url`. It serves the pages that are built in `web`, or else the embedded
    /// ones.
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

    /// Returns the `App` of the function, with the current pages.
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
        let scripts = if progress.is_some() { &[RELOAD_SCRIPT][..] } else { &[] };
        Ok(Site::single_page(&BuildPage { progress, problem }.render()?, scripts)?)
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

    /// Builds the pages if Node.js is installed, and returns when the build has ended. Calls `progress` with each line
    /// of the build's output. During the build, the console serves the pages of the previous build.
    pub fn build(&self, mut progress: impl FnMut(&str)) {
        let Some(web) = &self.web else { return };
        *self.state() = Build::Running("console: check whether the pages are up to date".to_owned());
        let result = self.run_build(web, |line| {
            progress(line);
            *self.state() = Build::Running(line.to_owned());
        });
        *self.state() = match result {
            Ok(()) => Build::None,
            Err(BuildError::NoNode) => {
                progress(NO_NODE);
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

    /// Ends a running build.
    pub fn stop(&self) {
        if let Some(node) = &mut *self.node.lock().unwrap_or_else(PoisonError::into_inner) {
            // This fails if the process has just ended by itself.
            let _ = node.kill();
        }
    }

    /// Runs `build.mjs`. It ends at once if the pages are up to date, and waits if another build is running.
    fn run_build(&self, web: &Path, mut progress: impl FnMut(&str)) -> Result<(), BuildError> {
        let mut node = Command::new("node");
        node.arg("build.mjs").current_dir(web);
        node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut node = match node.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && web.is_dir() => {
                return Err(BuildError::NoNode);
            }
            spawned => spawned?,
        };
        let (stdout, stderr) = (node.stdout.take(), node.stderr.take());
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
        // Both pipes are read at the same time, because a full pipe would block the build.
        let mut errors = thread::scope(|scope| {
            let errors = scope.spawn(|| lines(stderr).collect::<Vec<_>>());
            lines(stdout).for_each(|line| progress(&line));
            errors.join().unwrap_or_default()
        });
        let node = self.node.lock().unwrap_or_else(PoisonError::into_inner).take();
        if node.map(|mut node| node.wait()).transpose()?.is_some_and(|status| status.success()) {
            return Ok(());
        }
        let first_shown = errors.len().saturating_sub(ERROR_LINES_MAX);
        Err(BuildError::Failed(errors.split_off(first_shown)))
    }
}

enum BuildError {
    /// Node.js is not installed.
    NoNode,
    /// The last lines of the standard error of the build.
    Failed(Vec<String>),
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Failed(vec![format!("console: the build failed: {error}")])
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
        let response = console.app().unwrap().site.answer("/accept", &http::HeaderMap::new());
        assert_eq!(response.status(), http::StatusCode::OK);
        String::from_utf8(response.body().as_ref().to_vec()).unwrap()
    }

    /// Creates a folder with `script` as its `build.mjs`.
    fn web_folder(script: &str) -> tempfile::TempDir {
        let web = tempfile::tempdir().unwrap();
        fs::write(web.path().join("build.mjs"), script).unwrap();
        web
    }

    /// Writes built pages with this title.
    fn write_pages(site: &Path, title: &str) {
        fs::create_dir_all(site.join("assets")).unwrap();
        for file in ["index.html", "accept.html"] {
            let page = format!("<meta name=\"roster-config\" content=\"\"><title>{title}</title>");
            fs::write(site.join(file), page).unwrap();
        }
    }

    #[test]
    fn serves_the_current_pages_with_the_configuration_of_this_laptop() {
        let web = web_folder("");
        let console = console(web.path());
        let before = page(&console);
        let site = web.path().join("dist/site");
        write_pages(&site, "one");
        let served = page(&console);
        assert_ne!(served, before);
        assert!(served.contains("<title>one</title>"), "{served}");
        for setting in [
            r#""issuer":"http://127.0.0.1:4000""#,
            r#""client_id":"roster-console""#,
            r#""authorize_url":"http://127.0.0.1:4000/_dev/authorize""#,
            r#""token_url":"http://127.0.0.1:4000/_dev/authorize/token""#,
            r#""mailbox":"/_dev/mail""#,
        ] {
            assert!(served.contains(&setting.replace('"', "&quot;")), "{setting}: {served}");
        }
        write_pages(&site, "two");
        assert!(page(&console).contains("<title>two</title>"));
    }

    #[test]
    fn fails_if_a_built_page_is_missing() {
        let web = web_folder("");
        write_pages(&web.path().join("dist/site"), "one");
        fs::remove_file(web.path().join("dist/site/accept.html")).unwrap();
        let error = console(web.path()).app().err().unwrap();
        assert_eq!(error.to_string(), "the built console has no accept.html");
    }

    #[test]
    fn shows_the_state_of_the_build_until_there_are_pages() {
        let web = web_folder("");
        let console = console(web.path());
        *console.state() = Build::Running("console: <bundle> the pages".to_owned());
        let running = page(&console);
        let script = r#"<script src="/assets/reload-1.js" defer></script>"#;
        assert!(running.contains(script), "{running}");
        let response = console.app().unwrap().site.answer("/assets/reload-1.js", &http::HeaderMap::new());
        assert_eq!(response.body().as_ref(), RELOAD_SCRIPT.1.as_bytes());
        assert!(running.contains("console: &#60;bundle&#62; the pages"), "{running}");
        *console.state() = Build::Failed(vec!["error: a".to_owned(), "at b".to_owned()]);
        let failed = page(&console);
        assert!(!failed.contains("<script"), "{failed}");
        assert!(failed.contains("error: a\nat b"), "{failed}");
        // Pages of an earlier build are shown instead of the state of the build.
        write_pages(&web.path().join("dist/site"), "before");
        assert!(page(&console).contains("<title>before</title>"));
    }

    #[test]
    fn build_reports_its_progress_and_its_errors() {
        let build = |script: &str| {
            let web = web_folder(script);
            let console = console(web.path());
            let mut lines = Vec::new();
            console.build(|line| lines.push(line.to_owned()));
            let state = console.state().clone();
            (lines, state)
        };
        let (lines, state) = build("console.log('console: one'); console.log('console: two');");
        assert!(matches!(state, Build::None), "{state:?}");
        if lines == [NO_NODE] {
            return;
        }
        assert_eq!(lines, ["console: one", "console: two"]);

        let (lines, state) = build("console.error('wrong'); process.exit(1);");
        assert_eq!(lines, ["wrong"]);
        assert!(matches!(&state, Build::Failed(lines) if lines == &["wrong"]), "{state:?}");
    }

    #[test]
    fn stop_ends_a_running_build() {
        let web = web_folder("console.log('console: begun'); setInterval(() => {}, 1000);");
        let console = console(web.path());
        console.build(|line| {
            if line == "console: begun" {
                console.stop();
            }
        });
        assert!(console.node.lock().unwrap().is_none());
    }

    #[test]
    fn serves_the_embedded_pages_and_builds_nothing_without_a_folder() {
        let console = Console::new(URL, LocalClock::new(), Language::default(), None);
        console.build(|line| panic!("{line}"));
        let served = page(&console);
        assert_eq!(served.contains("roster-config"), Files::embedded().is_some(), "{served}");
    }
}
