//! Cursors: opaque text that says after which id a list goes on, and of which list that is.

use std::fmt::Display;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use lambda_api::Problem;
use lambda_api::request::{bad_cursor, parameter};
use lambda_http::Request;

/// Which list: what it lists, and whose. A cursor of another list is a bad one.
pub(crate) type Scope<'a> = [&'a str; 2];

/// Ids hold no control character, so none holds this.
const SEPARATOR: char = '\u{0}';

/// The id to go on after, if the request has a cursor.
pub(crate) fn read<Id: FromStr>(request: &Request, scope: Scope<'_>) -> Result<Option<Id>, Problem> {
    match parameter::<String>(request, "cursor", "it must be text").map_err(|_| bad_cursor())? {
        None => Ok(None),
        Some(text) => decode(&text, scope).map(Some).ok_or_else(bad_cursor),
    }
}

/// The cursor of the page after `id`.
pub(crate) fn write<Id: Display>(scope: Scope<'_>, id: Option<&Id>) -> Option<String> {
    let [list, owner] = scope;
    let text = format!("{list}{SEPARATOR}{owner}{SEPARATOR}{}", id?);
    Some(BASE64URL_NOPAD.encode(text.as_bytes()))
}

fn decode<Id: FromStr>(text: &str, [list, owner]: Scope<'_>) -> Option<Id> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.split(SEPARATOR);
    let own = parts.next()? == list && parts.next()? == owner;
    let id = parts.next()?.parse().ok()?;
    (own && parts.next().is_none()).then_some(id)
}

#[cfg(test)]
mod tests {
    use domain::UserId;

    use super::*;

    #[test]
    fn a_cursor_reads_back_in_its_own_list_only() {
        let user = UserId::parse("auth0|ü 1").unwrap();
        let cursor = write(["members", "org_1"], Some(&user)).unwrap();
        assert_eq!(decode(&cursor, ["members", "org_1"]), Some(user));
        assert_eq!(decode::<UserId>(&cursor, ["members", "org_2"]), None);
        assert_eq!(decode::<UserId>(&cursor, ["invitations", "org_1"]), None);
        for wrong in ["", "x", "====", "bWVtYmVycw", &cursor[1..], &format!("{cursor}A")] {
            assert_eq!(decode::<UserId>(wrong, ["members", "org_1"]), None, "{wrong}");
        }
        assert_eq!(write::<UserId>(["members", "org_1"], None), None);
    }
}
