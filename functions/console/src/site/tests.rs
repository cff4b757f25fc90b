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
    let page =
        |name| format!("<!doctype html><head>{CONFIG_PLACEHOLDER}<title>{name}</title></head>").into_bytes();
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

fn request_headers(headers: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn text(response: &Response<Body>) -> &str {
    let Body::Text(text) = response.body() else { panic!("the body is not text: {response:?}") };
    text
}

/// Reads the configuration from `html`, as a browser does.
fn config_in(html: &str) -> Value {
    let content = html.split(r#"name="roster-config" content=""#).nth(1).unwrap().split('"').next().unwrap();
    assert!(!content.contains(['<', '>', '\'']), "{content}");
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    let json =
        entities.iter().fold(content.to_owned(), |text, (entity, character)| text.replace(entity, character));
    serde_json::from_str(&json).unwrap()
}

#[test]
fn both_pages_contain_the_configuration_with_all_characters_escaped() {
    for (path, title) in [("/", "index"), ("/accept", "accept")] {
        let response = site().answer(path, &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let html = text(&response);
        assert!(html.contains(&format!("<title>{title}</title></head>")), "{html}");
        assert_eq!(
            config_in(html),
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
    let with_options = Config {
        sign_out_url: Some("https://login.example/logout".into()),
        mailbox: Some("/_dev/mail".into()),
        ..config()
    };
    let config = config_in(text(&Site::new(files(), &with_options).unwrap().answer("/", &HeaderMap::new())));
    assert_eq!(
        (&config["sign_out_url"], &config["mailbox"]),
        (&json!("https://login.example/logout"), &json!("/_dev/mail"))
    );
}

#[test]
fn a_page_loads_only_its_own_files_and_calls_only_its_own_origin_and_the_token_url() {
    let response = site().answer("/accept", &HeaderMap::new());
    let policy: Vec<_> =
        response.headers()["content-security-policy"].to_str().unwrap().split("; ").collect();
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
        assert_eq!(response.headers()[name], value);
    }
}

#[test]
fn responds_304_to_a_browser_that_has_the_current_page() {
    let tag = site().answer("/", &HeaderMap::new()).headers()[ETAG].clone();
    let tag = tag.to_str().unwrap();
    assert!(tag.starts_with('"') && tag.len() == 22, "the ETag must be strong: {tag}");
    for if_none_match in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let response = site().answer("/", &request_headers(&[("if-none-match", &if_none_match)]));
        assert_eq!(
            (response.status(), response.body()),
            (StatusCode::NOT_MODIFIED, &Body::Empty),
            "{if_none_match}"
        );
        assert_eq!(response.headers()[ETAG], tag);
        assert_eq!(response.headers().get(CONTENT_TYPE), None);
        // A browser applies the headers of a 304 to the page in its cache.
        assert!(response.headers().contains_key("content-security-policy"));
    }
    for if_none_match in ["\"other\"", tag.trim_matches('"'), ""] {
        assert_eq!(
            site().answer("/", &request_headers(&[("if-none-match", if_none_match)])).status(),
            StatusCode::OK,
            "{if_none_match}"
        );
    }
    let other = Config { product: "Other".into(), ..config() };
    let other = Site::new(files(), &other).unwrap();
    assert_ne!(
        other.answer("/", &HeaderMap::new()).headers()[ETAG],
        tag,
        "the ETag depends on the configuration"
    );
    assert_ne!(site().answer("/accept", &HeaderMap::new()).headers()[ETAG], tag);
}

#[test]
fn an_asset_is_cached_for_a_year_and_has_a_content_type() {
    for (name, content_type, content) in [
        ("index-1A.js", "text/javascript; charset=utf-8", &b"let a;"[..]),
        ("page-2B.css", "text/css; charset=utf-8", b"a{}"),
        ("icon-3C.svg", "image/svg+xml", b"<svg/>"),
        ("dot-4D.png", "image/png", b"\x89PNG"),
    ] {
        let response = site().answer(&format!("/assets/{name}"), &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(response.headers()[CONTENT_TYPE], content_type);
        assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(response.headers()[VARY], "accept-encoding");
        assert_eq!(response.headers().get(CONTENT_ENCODING), None);
        let is_text = name != "dot-4D.png";
        assert_eq!(matches!(response.body(), Body::Text(_)), is_text, "{name}");
        assert_eq!(response.body().as_ref(), content);
    }
}

#[test]
fn an_asset_is_sent_in_the_best_encoding_that_the_browser_accepts() {
    for (name, accepted, encoding) in [
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
        let response =
            site().answer(&format!("/assets/{name}"), &request_headers(&[("accept-encoding", accepted)]));
        assert_eq!(response.status(), StatusCode::OK);
        let sent = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap());
        assert_eq!(sent, encoding, "{name}: {accepted}");
        assert_eq!(matches!(response.body(), Body::Binary(_)), encoding.is_some(), "{name}: {accepted}");
        assert_eq!(response.headers()[VARY], "accept-encoding");
    }
    let two_headers = request_headers(&[("accept-encoding", "deflate"), ("accept-encoding", "br")]);
    assert_eq!(site().answer("/assets/index-1A.js", &two_headers).headers()[CONTENT_ENCODING], "br");
}

#[test]
fn responds_404_without_caching_to_an_unknown_path() {
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
        let response = site().answer(path, &request_headers(&[("accept-encoding", "br")]));
        assert_eq!((response.status(), text(&response)), (StatusCode::NOT_FOUND, "Not found\n"), "{path}");
        assert_eq!(response.headers().get(CACHE_CONTROL), None, "`lambda_api::http` adds `no-store`");
    }
}

#[test]
fn rejects_files_without_both_pages_or_without_exactly_one_placeholder_in_each() {
    let error_with = |page: Option<&[u8]>| {
        let mut files = files();
        match page {
            Some(page) => files.0.insert("accept.html".into(), page.to_vec().into()),
            None => files.0.remove("accept.html"),
        };
        Site::new(files, &config()).unwrap_err().to_string()
    };
    assert_eq!(error_with(None), "the built console has no accept.html");
    let none = error_with(Some(b"<!doctype html>"));
    assert!(none.starts_with("accept.html does not contain exactly one <meta"), "{none}");
    assert_eq!(error_with(Some(format!("{CONFIG_PLACEHOLDER}{CONFIG_PLACEHOLDER}").as_bytes())), none);
    assert_eq!(error_with(Some(b"\xff")), "accept.html is not UTF-8");
    let invalid = Config { token_url: "https://login.example;x/token".into(), ..config() };
    assert!(matches!(Site::new(files(), &invalid), Err(SiteError::TokenUrl)));
}

#[test]
fn without_a_built_console_both_pages_show_build_instructions_and_run_no_scripts() {
    let site = Site::unbuilt().unwrap();
    for path in ["/", "/accept"] {
        let response = site.answer(path, &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        let html = text(&response);
        assert!(html.contains("npm --prefix functions/console/web run build"), "{html}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("style-src 'sha256-") && !policy.contains("script-src"), "{policy}");
        // The policy would block inline code and styles without a hash.
        for inline in ["style=", "<script", "<style ", "onclick=", "src="] {
            assert!(!html.contains(inline), "{inline}");
        }
    }
    assert_eq!(site.answer("/assets/index-1A.js", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
}

#[test]
fn a_style_is_allowed_by_the_hash_of_its_text() {
    // The output of `printf 'a{}' | openssl dgst -sha256 -binary | base64`.
    let expected = "'sha256-X1RutGBrXCt9KkSaXMK7tHftWiRscFHOhxsS8tv8hBk='";
    let found = style_hashes("<style>a{}</style><p><style>b{}</style>");
    assert_eq!(found.split(' ').count(), 2);
    assert_eq!(found.split(' ').next(), Some(expected));
}

#[test]
fn serves_the_embedded_pages_with_all_their_assets() {
    let files = Files::embedded();
    // Continuous integration builds the pages first and sets this variable. The files must then be embedded.
    assert!(files.is_some() || std::env::var_os("ROSTER_CONSOLE_BUILT").is_none(), "no files are embedded");
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

#[test]
fn repairs_a_link_whose_number_sign_is_encoded() {
    let site = site();
    let token = "v1.dev.org_1.inv_2.1.1795678551.aB-_9";
    for path in [format!("/accept%23{token}"), format!("/accept%2523{token}")] {
        let response = site.answer(&path, &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::FOUND, "{path}");
        assert_eq!(response.headers()[LOCATION], format!("/accept#{token}"), "{path}");
        assert!(matches!(response.body(), Body::Empty), "{path}");
    }
    for path in [
        "/accept%23",
        "/accept%23a/b",
        "/accept%23%2F%2Fevil.example",
        "/accept%23a%0d",
        "/acceptx",
        "/favicon.ico",
    ] {
        assert_eq!(site.answer(path, &HeaderMap::new()).status(), StatusCode::NOT_FOUND, "{path}");
    }
}
