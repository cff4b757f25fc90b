//! How people sign in, and what the product is called: all that the pages are told.

use std::fmt;
use std::str::FromStr;

use domain::Language;
use http::Uri;
use lambda_api::env::{ConfigError, Env};
use serde::Serialize;

/// What a page is told, in its `<meta name="roster-config">`. None of it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// The issuer of the tokens, exactly as they name it.
    pub issuer: String,
    /// Who the console is to the issuer: a public client, so that it has no secret.
    pub client_id: String,
    /// Where people are sent to sign in.
    pub authorize_url: String,
    /// Where the page gets tokens for the code that they come back with.
    pub token_url: String,
    /// Where people are sent to sign out, if the issuer has such a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_out_url: Option<String>,
    /// What the page asks for.
    pub scope: String,
    /// Which of the tokens the API takes.
    pub token: Token,
    /// The product's name.
    pub product: String,
    /// The language of people whose browser asks for none that there is.
    pub language: Language,
    /// The path of the mailbox, on the laptop only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
}

/// The token that is sent with calls of the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// The access token: what it is there for, if it says the address (`email`, `email_verified`).
    #[default]
    AccessToken,
    /// The id token, where the access token lacks the address, as Cognito's does.
    IdToken,
}

/// The text is neither token's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownToken;

impl fmt::Display for UnknownToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is access_token or id_token")
    }
}

impl FromStr for Token {
    type Err = UnknownToken;

    fn from_str(text: &str) -> Result<Self, UnknownToken> {
        match text {
            "access_token" => Ok(Self::AccessToken),
            "id_token" => Ok(Self::IdToken),
            _ => Err(UnknownToken),
        }
    }
}

impl Config {
    /// As `env` says: `CONSOLE_ISSUER`, `CONSOLE_CLIENT_ID`, `CONSOLE_AUTHORIZE_URL`, `CONSOLE_TOKEN_URL`,
    /// `CONSOLE_SIGN_OUT_URL` (none if left out), `CONSOLE_SCOPE` (`openid email`), `CONSOLE_TOKEN`
    /// (`access_token`), `PRODUCT_NAME`, and `CONSOLE_LANGUAGE` (`en`).
    pub fn from_env(env: Env<'_>) -> Result<Self, ConfigError> {
        let url = |name| {
            let url = env.required(name)?;
            if origin(&url).is_some() { Ok(url) } else { Err(no_url(name)) }
        };
        let sign_out_url = env.optional("CONSOLE_SIGN_OUT_URL")?;
        if sign_out_url.as_ref().is_some_and(|url| origin(url).is_none()) {
            return Err(no_url("CONSOLE_SIGN_OUT_URL"));
        }
        Ok(Self {
            issuer: env.required("CONSOLE_ISSUER")?,
            client_id: env.required("CONSOLE_CLIENT_ID")?,
            authorize_url: url("CONSOLE_AUTHORIZE_URL")?,
            token_url: url("CONSOLE_TOKEN_URL")?,
            sign_out_url,
            scope: env.optional("CONSOLE_SCOPE")?.unwrap_or_else(|| "openid email".to_owned()),
            token: env.parsed("CONSOLE_TOKEN")?.unwrap_or_default(),
            product: env.required("PRODUCT_NAME")?,
            language: env.parsed("CONSOLE_LANGUAGE")?.unwrap_or_default(),
            mailbox: None,
        })
    }
}

fn no_url(name: &'static str) -> ConfigError {
    ConfigError::Wrong { name, what: "it must be an http or https URL".to_owned() }
}

/// The origin of a URL, as a policy names it. None of what is no such URL, or would say more than one source there.
pub(crate) fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let is_plain = |it: char| it.is_ascii_alphanumeric() || ".-:[]".contains(it);
    (matches!(scheme, "http" | "https") && authority.as_str().chars().all(is_plain))
        .then(|| format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_that_could_be_another_source() {
        for (url, expected) in [
            ("https://login.example.com/oauth2/token?a=b", "https://login.example.com"),
            ("http://127.0.0.1:4000/_dev/token", "http://127.0.0.1:4000"),
            ("http://[::1]:4000/", "http://[::1]:4000"),
        ] {
            assert_eq!(origin(url).as_deref(), Some(expected));
        }
        for url in [
            "",
            "login.example.com",
            "/oauth2/token",
            "ftp://login.example.com/",
            "https://ada@login.example.com/",
            "https://login.example.com;script-src/",
            "https://*.example.com/",
            "https://a b/",
        ] {
            assert_eq!(origin(url), None, "{url}");
        }
    }

    #[test]
    fn a_token_is_named_as_the_pages_and_the_template_name_it() {
        for (token, name) in [(Token::AccessToken, "access_token"), (Token::IdToken, "id_token")] {
            assert_eq!(name.parse(), Ok(token));
            assert_eq!(serde_json::to_value(token).unwrap(), name);
        }
        assert_eq!("idToken".parse::<Token>(), Err(UnknownToken));
    }
}
