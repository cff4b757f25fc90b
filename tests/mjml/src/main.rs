//! `cargo run -p mjml`: writes the mail's HTML.

use std::fs;

use mjml::{Error, compiled, template};

fn main() -> Result<(), Error> {
    let path = template("invitation.html");
    fs::write(&path, compiled()?).map_err(|error| Error::File(path, error))
}
