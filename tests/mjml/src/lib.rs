//! The mail's HTML, made of MJML.
//!
//! MJML knows what mail clients need: tables for Outlook, widths for phones, a preheader. `cargo run -p mjml` writes
//! `functions/mail/templates/invitation.html`, which is committed, and a test here finds it out of date. This is a package
//! of its own, so that no function is linked with the compiler, and so that the HTML can be made anew while the function
//! does not build because of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::{fs, io};

use mrml::prelude::render::RenderOptions;

/// What may begin a line: space before it shows nowhere in this mail.
const BEGINNINGS: [&str; 11] =
    ["<!--[if ", "<a ", "<body", "<div", "<h1", "<head", "<meta", "<style", "<table", "<td", "<tr"];

/// Why there is no HTML.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    File(PathBuf, #[source] io::Error),
    /// The source is no MJML, or holds what its compiler warns of.
    #[error("{path}: {what}", path = .0.display(), what = .1)]
    Source(PathBuf, String),
}

/// The template of that name: `invitation.mjml` or `invitation.html`.
#[must_use]
pub fn template(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../functions/mail/templates", name].iter().collect()
}

/// The HTML that `invitation.mjml` gives, still with what askama puts in.
pub fn compiled() -> Result<String, Error> {
    let path = template("invitation.mjml");
    let source = fs::read_to_string(&path).map_err(|error| Error::File(path.clone(), error))?;
    let parsed = mrml::parse(&source).map_err(|error| Error::Source(path.clone(), error.to_string()))?;
    if !parsed.warnings.is_empty() {
        return Err(Error::Source(path, format!("{:?}", parsed.warnings)));
    }
    let options = RenderOptions {
        disable_comments: true,
        // By default mails fetch a web font for every name that the compiler knows, Roboto among them.
        fonts: HashMap::new(),
        ..RenderOptions::default()
    };
    let html = parsed.element.render(&options).map_err(|error| Error::Source(path, error.to_string()))?;
    Ok(in_lines(&untracked(&html)))
}

/// SES has links lead to itself first, to count clicks, where the configuration set says so: but not these, and it
/// takes the attribute away.
fn untracked(html: &str) -> String {
    html.replace("<a ", "<a ses:no-track ")
}

/// In one line it would be longer than the 998 characters that mail allows (RFC 5322), and no change could be read. What
/// is as long as names and links is broken within tags, where no space can come of it.
fn in_lines(html: &str) -> String {
    let mut html = html.replace("<strong ", "<strong\n").replace(" style=", "\nstyle=");
    for beginning in BEGINNINGS {
        html = html.replace(beginning, &format!("\n{beginning}"));
    }
    let lines = html.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_html_is_what_the_mjml_gives() {
        let committed = fs::read_to_string(template("invitation.html")).unwrap();
        assert!(committed == compiled().unwrap(), "it is out of date: cargo run -p mjml writes it anew");
    }

    #[test]
    fn what_askama_puts_in_is_what_the_source_says() {
        // The compiler repeats what stands in the head, but drops, reorders and escapes nothing.
        let put_in = |text: &str| {
            let parts = text.split("{{ ").skip(1).filter_map(|part| part.split_once(" }}"));
            parts.map(|(name, _)| name.to_owned()).collect::<std::collections::BTreeSet<_>>()
        };
        let source = fs::read_to_string(template("invitation.mjml")).unwrap();
        let html = compiled().unwrap();
        assert_eq!(put_in(&html), put_in(&source));
        assert_eq!(html.matches("{%").count(), source.matches("{%").count());
        assert_eq!(html.matches("<a ").count(), html.matches("<a ses:no-track href=").count());
    }
}
