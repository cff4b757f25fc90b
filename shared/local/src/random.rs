//! Random ids.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// N random bytes in lower-case hex.
pub(crate) fn hex<const N: usize>() -> String {
    bytes::<N>().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// N random bytes in base64.
pub(crate) fn base64<const N: usize>() -> String {
    STANDARD.encode(bytes::<N>())
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        // Ids of a development server: being unguessable is not asked of them, being there is.
        tracing::warn!("the system gives no random bytes");
    }
    bytes
}
