//! `cargo run -p mjml` writes the HTML of the mail.

use std::fs;

use mjml::{Error, compile, template};

fn main() -> Result<(), Error> {
    let path = template("invitation.html");
    fs::write(&path, compile()?).map_err(|error| Error::File(path, error))
}
