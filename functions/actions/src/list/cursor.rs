//! Cursors: opaque text with the name of a list and the last id of the previous page.

use std::fmt::Display;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use lambda_api::Problem;
use lambda_api::request::{bad_cursor, parameter};
use lambda_http::Request;

/// The list of a cursor: what it lists, and the id of its user or organization. The cursor of another list is rejected.
pub(crate) type Scope<'a> = [&'a str; 2];

/// Separates the parts of a cursor. Ids contain no control characters.
const SEPARATOR: char = '\u{0}';

/// Returns the last id of the previous page, if the request has a cursor.
pub(crate) fn read<Id: FromStr>(request: &Request, scope: Scope<'_>) -> Result<Option<Id>, Problem> {
    match parameter::<String>(request, "cursor", "it must be text").map_err(|_| bad_cursor())? {
        None => Ok(None),
        Some(text) => decode(&text, scope).map(Some).ok_or_else(bad_cursor),
    }
}

/// Returns the cursor of the page that follows `id`. Returns `None` without `id`, after the last page.
pub(crate) fn write<Id: Display>(scope: Scope<'_>, id: Option<&Id>) -> Option<String> {
    let [list, owner] = scope;
    let text = format!("{list}{SEPARATOR}{owner}{SEPARATOR}{}", id?);
    Some(BASE64URL_NOPAD.encode(text.as_bytes()))
}

fn decode<Id: FromStr>(text: &str, [list, owner]: Scope<'_>) -> Option<Id> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.split(SEPARATOR);
    let is_same_list = parts.next()? == list && parts.next()? == owner;
    let id = parts.next()?.parse().ok()?;
    (is_same_list && parts.next().is_none()).then_some(id)
}

#[cfg(test)]
mod tests {
    use domain::UserId;

    use super::*;

    #[test]
    fn accepts_a_cursor_only_for_its_own_list() {
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
