//! The configuration that the pages receive: how users sign in, the name of the product and the language.

use std::fmt;
use std::str::FromStr;

use domain::Language;
use http::Uri;
use lambda_api::env::{ConfigError, Env};
use serde::Serialize;

/// The configuration of the pages, in their `<meta name="roster-config">`. It contains no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// The issuer of the tokens, exactly as in their `iss` claim.
    pub issuer: String,
    /// The client id of the console at the issuer. It is a public client, which has no secret.
    pub client_id: String,
    /// The URL where users sign in.
    pub authorize_url: String,
    /// The URL where the page exchanges the authorization code for tokens.
    pub token_url: String,
    /// The URL where users sign out, if the issuer has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_out_url: Option<String>,
    /// The OAuth scopes that the page requests.
    pub scope: String,
    /// The token that the API accepts.
    pub token: Token,
    /// The name of the product.
    pub product: String,
    /// The language for browsers that request none of the available languages.
    pub language: Language,
    /// The path of the mailbox. Only the laptop, which is the local server started by `cargo run`, has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
}

/// The token that the pages send with API calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// The access token. This is the standard, but the token must have the claims `email` and `email_verified`.
    #[default]
    AccessToken,
    /// The ID token, for issuers whose access tokens lack these claims, such as Cognito.
    IdToken,
}

/// The text is not the name of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownToken;

impl fmt::Display for UnknownToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it must be access_token or id_token")
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
    /// Reads the configuration from `env`.
    ///
    /// `CONSOLE_ISSUER`, `CONSOLE_CLIENT_ID`, `CONSOLE_AUTHORIZE_URL`, `CONSOLE_TOKEN_URL` and `PRODUCT_NAME` are
    /// required. Optional are `CONSOLE_SIGN_OUT_URL`, `CONSOLE_SCOPE` (default `openid email`), `CONSOLE_TOKEN`
    /// (default `access_token`) and `CONSOLE_LANGUAGE` (default `en`).
    pub fn from_env(env: Env<'_>) -> Result<Self, ConfigError> {
        let url = |name| {
            let url = env.required(name)?;
            if origin(&url).is_some() { Ok(url) } else { Err(invalid_url(name)) }
        };
        let sign_out_url = env.optional("CONSOLE_SIGN_OUT_URL")?;
        if sign_out_url.as_ref().is_some_and(|url| origin(url).is_none()) {
            return Err(invalid_url("CONSOLE_SIGN_OUT_URL"));
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

fn invalid_url(name: &'static str) -> ConfigError {
    ConfigError::Wrong { name, what: "it must be an http or https URL".to_owned() }
}

/// Returns the origin of `url`, as a source of a Content-Security-Policy.
///
/// Returns `None` for a URL that is not http or https, and for a URL that could add other sources to the policy.
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
    fn an_origin_is_one_source_of_scheme_host_and_port() {
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
    fn parses_and_serializes_the_names_of_tokens() {
        for (token, name) in [(Token::AccessToken, "access_token"), (Token::IdToken, "id_token")] {
            assert_eq!(name.parse(), Ok(token));
            assert_eq!(serde_json::to_value(token).unwrap(), name);
        }
        assert_eq!("idToken".parse::<Token>(), Err(UnknownToken));
    }
}
