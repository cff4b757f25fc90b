use serde_json::{Value, json};

use super::*;
use crate::config::Token;

fn config() -> Config {
    Config {
        issuer: "https://login.example/".into(),
        client_id: "console".into(),
        authorize_url: "https://login.example/authorize?a=1&b=2".into(),
        token_url: "https://login.example/token".into(),
        sign_out_url: None,
        scope: "openid email".into(),
        token: Token::IdToken,
        product: r#"Ben & "Jerry's" </head>"#.into(),
        language: domain::Language::De,
        mailbox: None,
    }
}

fn files() -> Files {
    let page = |name| format!("<!doctype html><head>{TOLD_HERE}<title>{name}</title></head>").into_bytes();
    let files = [
        ("index.html", page("index")),
        ("index.html.br", b"not served".to_vec()),
        ("accept.html", page("accept")),
        ("assets/index-1A.js", b"let a;".to_vec()),
        ("assets/index-1A.js.br", b"\x0bbr".to_vec()),
        ("assets/index-1A.js.gz", b"\x1f\x8bgz".to_vec()),
        ("assets/page-2B.css", b"a{}".to_vec()),
        ("assets/page-2B.css.gz", b"\x1f\x8bgz".to_vec()),
        ("assets/icon-3C.svg", b"<svg/>".to_vec()),
        ("assets/dot-4D.png", b"\x89PNG".to_vec()),
    ];
    Files(files.into_iter().map(|(path, content)| (path.into(), content.into())).collect())
}

fn site() -> Site {
    Site::new(files(), &config()).unwrap()
}

fn asked(headers: &[(&'static str, &str)]) -> HeaderMap {
    let mut asked = HeaderMap::new();
    for (name, value) in headers {
        asked.append(*name, HeaderValue::from_str(value).unwrap());
    }
    asked
}

fn text(response: &Response<Body>) -> &str {
    let Body::Text(text) = response.body() else { panic!("this is text: {response:?}") };
    text
}

/// What the page is told, as a browser reads it.
fn told(html: &str) -> Value {
    let content = html.split(r#"name="roster-config" content=""#).nth(1).unwrap().split('"').next().unwrap();
    assert!(!content.contains(['<', '>', '\'']), "{content}");
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    let read = entities.iter().fold(content.to_owned(), |text, (entity, it)| text.replace(entity, it));
    serde_json::from_str(&read).unwrap()
}

#[test]
fn both_pages_are_told_how_to_sign_in_whatever_is_in_a_name() {
    for (path, title) in [("/", "index"), ("/accept", "accept")] {
        let answer = site().answer(path, &HeaderMap::new());
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let html = text(&answer);
        assert!(html.contains(&format!("<title>{title}</title></head>")), "{html}");
        assert_eq!(
            told(html),
            json!({
                "issuer": "https://login.example/",
                "client_id": "console",
                "authorize_url": "https://login.example/authorize?a=1&b=2",
                "token_url": "https://login.example/token",
                "scope": "openid email",
                "token": "id_token",
                "product": "Ben & \"Jerry's\" </head>",
                "language": "de",
            })
        );
    }
    let more = Config {
        sign_out_url: Some("https://login.example/logout".into()),
        mailbox: Some("/_dev/mail".into()),
        ..config()
    };
    let told = told(text(&Site::new(files(), &more).unwrap().answer("/", &HeaderMap::new())));
    assert_eq!(
        (&told["sign_out_url"], &told["mailbox"]),
        (&json!("https://login.example/logout"), &json!("/_dev/mail"))
    );
}

#[test]
fn a_page_runs_what_is_its_own_and_calls_its_own_origin_and_the_token_urls() {
    let answer = site().answer("/accept", &HeaderMap::new());
    let policy: Vec<_> = answer.headers()["content-security-policy"].to_str().unwrap().split("; ").collect();
    for directive in [
        "default-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self' https://login.example",
        "trusted-types lit-html",
    ] {
        assert!(policy.contains(&directive), "{directive}: {policy:?}");
    }
    assert_eq!(policy.len(), 10, "{policy:?}");
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
}

#[test]
fn a_page_that_the_browser_has_is_not_sent_again() {
    let tag = site().answer("/", &HeaderMap::new()).headers()[ETAG].clone();
    let tag = tag.to_str().unwrap();
    assert!(tag.starts_with('"') && tag.len() == 22, "it is a strong one: {tag}");
    for has in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = site().answer("/", &asked(&[("if-none-match", &has)]));
        assert_eq!((answer.status(), answer.body()), (StatusCode::NOT_MODIFIED, &Body::Empty), "{has}");
        assert_eq!(answer.headers()[ETAG], tag);
        assert_eq!(answer.headers().get(CONTENT_TYPE), None);
        // A browser takes the headers for those of the page that it has.
        assert!(answer.headers().contains_key("content-security-policy"));
    }
    for has in ["\"other\"", tag.trim_matches('"'), ""] {
        assert_eq!(site().answer("/", &asked(&[("if-none-match", has)])).status(), StatusCode::OK, "{has}");
    }
    let other = Config { product: "Other".into(), ..config() };
    let other = Site::new(files(), &other).unwrap();
    assert_ne!(other.answer("/", &HeaderMap::new()).headers()[ETAG], tag, "what it is told is a part of it");
    assert_ne!(site().answer("/accept", &HeaderMap::new()).headers()[ETAG], tag);
}

#[test]
fn an_asset_is_kept_for_ever_and_says_what_it_is() {
    for (name, content_type, content) in [
        ("index-1A.js", "text/javascript; charset=utf-8", &b"let a;"[..]),
        ("page-2B.css", "text/css; charset=utf-8", b"a{}"),
        ("icon-3C.svg", "image/svg+xml", b"<svg/>"),
        ("dot-4D.png", "image/png", b"\x89PNG"),
    ] {
        let answer = site().answer(&format!("/assets/{name}"), &HeaderMap::new());
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        assert_eq!(answer.headers()[CONTENT_TYPE], content_type);
        assert_eq!(answer.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(answer.headers()[VARY], "accept-encoding");
        assert_eq!(answer.headers().get(CONTENT_ENCODING), None);
        let is_text = name != "dot-4D.png";
        assert_eq!(matches!(answer.body(), Body::Text(_)), is_text, "{name}");
        assert_eq!(answer.body().as_ref(), content);
    }
}

#[test]
fn an_asset_is_sent_as_small_as_the_browser_takes_it() {
    for (name, takes, coding) in [
        ("index-1A.js", "gzip, deflate, br, zstd", Some("br")),
        ("index-1A.js", "gzip", Some("gzip")),
        ("index-1A.js", "GZIP ; q=0.5", Some("gzip")),
        ("index-1A.js", "*", Some("br")),
        ("index-1A.js", "br;q=0, *", Some("gzip")),
        ("index-1A.js", "br;q=0.0,gzip;q=0", None),
        ("index-1A.js", "br;Q=0, gzip;Q=0.4", Some("gzip")),
        ("index-1A.js", "br;q=high", None),
        ("index-1A.js", "identity", None),
        ("index-1A.js", "", None),
        ("page-2B.css", "br, gzip", Some("gzip")),
        ("page-2B.css", "br", None),
        ("icon-3C.svg", "br, gzip", None),
    ] {
        let answer = site().answer(&format!("/assets/{name}"), &asked(&[("accept-encoding", takes)]));
        assert_eq!(answer.status(), StatusCode::OK);
        let sent = answer.headers().get(CONTENT_ENCODING).map(|it| it.to_str().unwrap());
        assert_eq!(sent, coding, "{name}: {takes}");
        assert_eq!(matches!(answer.body(), Body::Binary(_)), coding.is_some(), "{name}: {takes}");
        assert_eq!(answer.headers()[VARY], "accept-encoding");
    }
    let lines = asked(&[("accept-encoding", "deflate"), ("accept-encoding", "br")]);
    assert_eq!(site().answer("/assets/index-1A.js", &lines).headers()[CONTENT_ENCODING], "br");
}

#[test]
fn what_is_not_there_is_not_found_and_not_kept() {
    for path in [
        "/assets/index-0Z.js",
        "/assets/",
        "/assets/../index.html",
        "/assets/..%2Findex.html",
        "/index.html",
        "/accept/",
        "/accept.html",
        "",
    ] {
        let answer = site().answer(path, &asked(&[("accept-encoding", "br")]));
        assert_eq!((answer.status(), text(&answer)), (StatusCode::NOT_FOUND, "Not found\n"), "{path}");
        assert_eq!(answer.headers().get(CACHE_CONTROL), None, "what every answer has is `no-store`");
    }
}

#[test]
fn a_page_without_one_place_for_its_configuration_is_not_served() {
    let with = |page: Option<&[u8]>| {
        let mut files = files();
        match page {
            Some(page) => files.0.insert("accept.html".into(), page.to_vec().into()),
            None => files.0.remove("accept.html"),
        };
        Site::new(files, &config()).unwrap_err().to_string()
    };
    assert_eq!(with(None), "the built console has no accept.html");
    let none = with(Some(b"<!doctype html>"));
    assert!(none.starts_with("accept.html has not exactly one <meta"), "{none}");
    assert_eq!(with(Some(format!("{TOLD_HERE}{TOLD_HERE}").as_bytes())), none);
    assert_eq!(with(Some(b"\xff")), "accept.html is not UTF-8");
    let nowhere = Config { token_url: "https://login.example;x/token".into(), ..config() };
    assert!(matches!(Site::new(files(), &nowhere), Err(SiteError::TokenUrl)));
}

#[test]
fn without_a_built_console_both_pages_say_how_to_build_it_and_may_run_nothing() {
    let site = Site::unbuilt().unwrap();
    for path in ["/", "/accept"] {
        let answer = site.answer(path, &HeaderMap::new());
        assert_eq!(answer.status(), StatusCode::OK);
        let html = text(&answer);
        assert!(html.contains("node functions/console/web/build.mjs"), "{html}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("style-src 'sha256-") && !policy.contains("script-src"), "{policy}");
        // Whatever the policy has no hash for would be dead.
        for inline in ["style=", "<script", "<style ", "onclick=", "src="] {
            assert!(!html.contains(inline), "{inline}");
        }
    }
    assert_eq!(site.answer("/assets/index-1A.js", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
}

#[test]
fn a_style_is_allowed_by_the_hash_of_what_stands_between_its_tags() {
    // As `printf 'a{}' | openssl dgst -sha256 -binary | base64` says.
    let expected = "'sha256-X1RutGBrXCt9KkSaXMK7tHftWiRscFHOhxsS8tv8hBk='";
    let found = own_styles("<style>a{}</style><p><style>b{}</style>");
    assert_eq!(found.split(' ').count(), 2);
    assert_eq!(found.split(' ').next(), Some(expected));
}

/// Whatever this was built with can be served.
#[test]
fn what_is_embedded_is_whole() {
    let files = Files::embedded();
    // Continuous integration builds the pages first, so that they have to be here.
    assert!(files.is_some() || std::env::var_os("ROSTER_CONSOLE_BUILT").is_none(), "nothing is embedded");
    let Some(files) = files else { return };
    let site = Site::new(files, &config()).unwrap();
    let html = text(&site.answer("/", &HeaderMap::new())).to_owned();
    let assets: Vec<_> = html.split("\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!assets.is_empty(), "{html}");
    for asset in assets {
        assert_eq!(
            site.answer(&format!("/assets/{asset}"), &HeaderMap::new()).status(),
            StatusCode::OK,
            "{asset}"
        );
    }
}
