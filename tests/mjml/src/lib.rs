//! Compiles the mail's MJML template to HTML.
//!
//! MJML generates the HTML that mail clients require: tables for Outlook, widths for phones, a preheader.
//! `cargo run -p mjml` writes `functions/mail/templates/invitation.html`, which is committed. A test in this package
//! fails if that file is out of date.
//!
//! This is a separate package for two reasons: no function links the MJML compiler, and the HTML can be generated while
//! invalid HTML breaks the build of `mail`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::{fs, io};

use mrml::prelude::render::RenderOptions;

/// The texts before which a line may break. Whitespace before them is invisible in this mail.
const LINE_STARTS: [&str; 11] =
    ["<!--[if ", "<a ", "<body", "<div", "<h1", "<head", "<meta", "<style", "<table", "<td", "<tr"];

/// The reason why a template was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    File(PathBuf, #[source] io::Error),
    /// The source is invalid MJML, or the compiler has warnings.
    #[error("{path}: {what}", path = .0.display(), what = .1)]
    Source(PathBuf, String),
}

/// The path of a template: `invitation.mjml` or `invitation.html`.
#[must_use]
pub fn template(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../functions/mail/templates", name].iter().collect()
}

/// Compiles `invitation.mjml`. The returned HTML still contains the expressions of askama.
pub fn compile() -> Result<String, Error> {
    let path = template("invitation.mjml");
    let source = fs::read_to_string(&path).map_err(|error| Error::File(path.clone(), error))?;
    let parsed = mrml::parse(&source).map_err(|error| Error::Source(path.clone(), error.to_string()))?;
    if !parsed.warnings.is_empty() {
        return Err(Error::Source(path, format!("{:?}", parsed.warnings)));
    }
    let options = RenderOptions {
        disable_comments: true,
        // By default the mail loads a web font for every font name in the compiler's list, such as Roboto.
        fonts: HashMap::new(),
        ..RenderOptions::default()
    };
    let html = parsed.element.render(&options).map_err(|error| Error::Source(path, error.to_string()))?;
    Ok(break_lines(&without_click_tracking(&html)))
}

/// Excludes all links from the click tracking of SES, which would replace them if the configuration set enables it. SES
/// removes the attribute before it sends the mail.
fn without_click_tracking(html: &str) -> String {
    html.replace("<a ", "<a ses:no-track ")
}

/// Breaks the HTML into lines. A mail's lines have at most 998 characters (RFC 5322), and short lines make changes
/// readable.
///
/// Elements that contain long names or links break inside a tag, where a line break adds no visible space.
fn break_lines(html: &str) -> String {
    let mut html = html.replace("<strong ", "<strong\n").replace(" style=", "\nstyle=");
    for start in LINE_STARTS {
        html = html.replace(start, &format!("\n{start}"));
    }
    let lines = html.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_html_is_up_to_date() {
        let committed = fs::read_to_string(template("invitation.html")).unwrap();
        assert!(committed == compile().unwrap(), "invitation.html is out of date; run: cargo run -p mjml");
    }

    #[test]
    fn the_html_has_the_same_askama_expressions_as_the_mjml() {
        // The compiler may repeat an expression of the head, but must not drop or escape any expression.
        let expressions = |text: &str| {
            let parts = text.split("{{ ").skip(1).filter_map(|part| part.split_once(" }}"));
            parts.map(|(name, _)| name.to_owned()).collect::<std::collections::BTreeSet<_>>()
        };
        let source = fs::read_to_string(template("invitation.mjml")).unwrap();
        let html = compile().unwrap();
        assert_eq!(expressions(&html), expressions(&source));
        assert_eq!(html.matches("{%").count(), source.matches("{%").count());
        assert_eq!(html.matches("<a ").count(), html.matches("<a ses:no-track href=").count());
    }
}
