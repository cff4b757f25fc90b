//! The console on the laptop. It serves the pages that Vite built last in `functions/console/web/dist`, so that changes
//! of the pages need no Rust build. The pages sign users in at the laptop's issuer.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::console::{App, Config, Files, Site, SiteError, Token, sources};
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

/// The command of npm.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };
/// The arguments of npm to install the packages. No package needs its install scripts. `--include=dev` installs the
/// build tools even if the user's settings of npm omit them.
const INSTALL: [&str; 6] =
    ["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
/// The arguments of Node.js to build the pages. `npm run build` would start Vite as another process, which would keep
/// running after [`Console::stop`].
const BUILD: [&str; 4] = ["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"];
/// The progress line of a build without Node.js.
const NO_NODE: &str = "console: not built, because Node.js or npm is not installed. \
    Install Node.js 20.19 or later with npm and restart, or start with --no-console";

/// The site that the function `console` serves on the laptop.
pub struct Console {
    config: Config,
    clock: LocalClock,
    /// The folder with the sources. `None` to serve the embedded pages.
    web: Option<PathBuf>,
    build: Mutex<Build>,
    /// The process of the build that is running.
    process: Mutex<Option<Child>>,
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
        Self { config, clock, web, build: Mutex::default(), process: Mutex::default() }
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

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds the pages if their sources and Node.js are there, and returns when the build has ended. Calls `progress`
    /// with each step of the build, and with each line of its errors. During the build, the console serves the pages of
    /// the previous build.
    pub fn build(&self, mut progress: impl FnMut(&str)) {
        let Some(web) = self.web.as_ref().filter(|web| web.is_dir()) else { return };
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
        if let Some(process) = &mut *self.process() {
            // This fails if the process has just ended by itself.
            let _ = process.kill();
        }
    }

    /// Builds the pages if they are outdated. First installs the npm packages of `package-lock.json` if needed. Waits
    /// while another laptop builds.
    fn run_build(&self, web: &Path, mut progress: impl FnMut(&str)) -> Result<(), BuildError> {
        fs::create_dir_all(web.join("dist"))?;
        let lock = File::create(web.join("dist/.lock"))?;
        lock.lock()?;
        if !sources::is_outdated(web)? {
            progress("console: up to date");
            return Ok(());
        }
        if must_install(web)? {
            let install = "console: installing the npm packages of package-lock.json";
            self.run(Command::new(NPM).args(INSTALL).current_dir(web), || progress(install))?;
        }
        let build = "console: building the pages";
        self.run(Command::new("node").args(BUILD).current_dir(web), || progress(build))?;
        progress("console: built");
        Ok(())
    }

    /// Runs a command, and calls `started` as soon as it runs. Returns its first error lines if it fails.
    fn run(&self, command: &mut Command, started: impl FnOnce()) -> Result<(), BuildError> {
        // With `development`, Vite would build pages for development.
        command.env_remove("NODE_ENV");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = match child {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BuildError::NoNode),
            child => child?,
        };
        let stderr = child.stderr.take();
        *self.process() = Some(child);
        started();
        let mut errors: Vec<_> = stderr
            .into_iter()
            .flat_map(|stderr| BufReader::new(stderr).lines().map_while(Result::ok))
            .filter(|line| !line.trim().is_empty())
            // The error page shows no colours. Vite ignores `NO_COLOR` in some lines.
            .map(|line| anstream::adapter::strip_str(&line).to_string())
            .collect();
        let child = self.process().take();
        if child.map(|mut child| child.wait()).transpose()?.is_some_and(|status| status.success()) {
            return Ok(());
        }
        // The cause comes first. Vite writes the stack trace of its own code last.
        errors.truncate(ERROR_LINES_MAX);
        Err(BuildError::Failed(errors))
    }
}

/// Whether the installed npm packages are older than `package-lock.json`, or missing.
fn must_install(web: &Path) -> io::Result<bool> {
    let locked = web.join("package-lock.json").metadata()?.modified()?;
    // npm writes this file after it has installed all packages.
    match web.join("node_modules/.package-lock.json").metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        installed => Ok(installed?.modified()? < locked),
    }
}

enum BuildError {
    /// Node.js or npm is not installed.
    NoNode,
    /// The first lines of the standard error of the build.
    Failed(Vec<String>),
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Failed(vec![format!("console: the build failed: {error}")])
    }
}

#[cfg(test)]
mod tests {
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

    /// The files of a folder like `functions/console/web`. Its only npm package is a Vite in the same folder.
    const WEB_FILES: [(&str, &str); 7] = [
        (
            "package.json",
            r#"{"name": "pages", "version": "1.0.0", "devDependencies": {"vite": "file:vite"}}"#,
        ),
        (
            "package-lock.json",
            r#"{
                "name": "pages", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
                "packages": {
                    "": {"name": "pages", "version": "1.0.0", "devDependencies": {"vite": "file:vite"}},
                    "node_modules/vite": {"resolved": "vite", "link": true},
                    "vite": {"version": "1.0.0", "dev": true, "hasInstallScript": true}
                }
            }"#,
        ),
        (
            "vite/package.json",
            r#"{"name": "vite", "version": "1.0.0", "scripts": {"install": "touch ../installed"}}"#,
        ),
        ("tsconfig.json", "{}"),
        ("vite.config.ts", ""),
        ("src/page.ts", ""),
        ("pages/index.html", ""),
    ];

    /// Creates a folder with `script` as the main script of its Vite.
    fn web_folder(script: &str) -> tempfile::TempDir {
        let web = tempfile::tempdir().unwrap();
        for (file, content) in WEB_FILES.into_iter().chain([("vite/bin/vite.js", script)]) {
            let file = web.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
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

    /// Builds the pages. Returns the lines of the progress, and the state after the build.
    fn build(console: &Console) -> (Vec<String>, Build) {
        let mut lines = Vec::new();
        console.build(|line| lines.push(line.to_owned()));
        let state = console.state().clone();
        (lines, state)
    }

    const INSTALLING: &str = "console: installing the npm packages of package-lock.json";
    const BUILDING: &str = "console: building the pages";

    #[test]
    fn build_installs_the_packages_without_their_scripts_and_builds_outdated_pages() {
        let web = web_folder(
            "const fs = require('node:fs');
            fs.mkdirSync('dist/site/assets', { recursive: true });
            fs.writeFileSync('dist/site/index.html', process.argv.slice(2).join(' '));",
        );
        let console = console(web.path());
        let (lines, state) = build(&console);
        assert!(matches!(state, Build::None), "{state:?}: {lines:?}");
        if lines.last().is_some_and(|line| line == NO_NODE) {
            return;
        }
        assert_eq!(lines, [INSTALLING, BUILDING, "console: built"]);
        assert_eq!(
            fs::read_to_string(web.path().join("dist/site/index.html")).unwrap(),
            BUILD[1..].join(" ")
        );
        assert!(!web.path().join("installed").exists(), "npm has run an install script");
        assert_eq!(build(&console).0, ["console: up to date"]);

        let newer = web.path().join("dist/site/index.html").metadata().unwrap().modified().unwrap()
            + std::time::Duration::from_secs(1);
        let change = |file: &str| {
            File::options().append(true).open(web.path().join(file)).unwrap().set_modified(newer).unwrap();
        };
        change("src/page.ts");
        assert_eq!(build(&console).0, [BUILDING, "console: built"]);
        change("package-lock.json");
        assert_eq!(build(&console).0, [INSTALLING, BUILDING, "console: built"]);
    }

    #[test]
    fn build_reports_its_errors() {
        let web = web_folder(r"console.error('\x1b[31mwrong\x1b[0m'); process.exit(1);");
        let (lines, state) = build(&console(web.path()));
        if lines.last().is_some_and(|line| line == NO_NODE) {
            return;
        }
        assert_eq!(lines, [INSTALLING, BUILDING, "wrong"]);
        assert!(matches!(&state, Build::Failed(lines) if lines == &["wrong"]), "{state:?}");
    }

    #[test]
    fn stop_ends_a_running_build() {
        let web = web_folder("require('node:fs').writeFileSync('begun', ''); setInterval(() => {}, 1000);");
        let console = console(web.path());
        std::thread::scope(|scope| {
            let build = scope.spawn(|| build(&console));
            // The script can run before the laptop has stored its process, so one call is not always enough.
            while !build.is_finished() {
                if web.path().join("begun").exists() {
                    console.stop();
                }
                std::thread::yield_now();
            }
            let (lines, state) = build.join().unwrap();
            assert!(
                matches!(state, Build::Failed(_)) || lines.last().is_some_and(|line| line == NO_NODE),
                "{state:?}: {lines:?}"
            );
        });
        assert!(console.process().is_none());
    }

    #[test]
    fn serves_the_embedded_pages_and_builds_nothing_without_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        for web in [None, Some(folder.path().join("none"))] {
            let console = Console::new(URL, LocalClock::new(), Language::default(), web);
            console.build(|line| panic!("{line}"));
            let served = page(&console);
            assert_eq!(served.contains("roster-config"), Files::embedded().is_some(), "{served}");
        }
    }
}
