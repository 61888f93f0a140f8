//! The documentation page, `/api/docs`. The page uses Scalar's reader, whose script is part of the crate
//! `scalar_api_reference`, and loads nothing from other servers.

use std::{
    fmt::Write as _,
    sync::{Arc, LazyLock},
};

use poem::{
    Endpoint, IntoResponse, Request, Response, Route,
    endpoint::make_sync,
    get,
    http::{HeaderValue, Method, header},
    web::Redirect,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Allows nothing from other servers. `unsafe-inline` is for the style elements that the reader's script creates.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const READER_ASSET: &str = "scalar.js";
const STYLE: &str = include_str!("page.css");
/// `Cache-Control` for the reader's script, whose URL contains a hash of its content.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Redirects the API's base URL, which people often open first, to the documentation page. The redirects are relative,
/// because a proxy may serve the api under a path prefix.
pub(crate) async fn redirect_to_page(api: Arc<impl Endpoint>, request: Request) -> poem::Result<Response> {
    let page = match request.original_uri().path() {
        "/api" => Some("api/docs"),
        "/api/" => Some("docs"),
        _ => None,
    };
    match page {
        Some(page) if request.method() == Method::GET => Ok(Redirect::temporary(page).into_response()),
        _ => api.call(request).await.map(IntoResponse::into_response),
    }
}

/// Adds the page, its two scripts, and a redirect from the server's root to the page.
pub(crate) fn add_routes(route: Route) -> Route {
    route
        .at("/", get(make_sync(|_| Redirect::temporary("api/docs"))))
        .at("/api/docs", get(static_asset("text/html; charset=utf-8", None, || PAGE.clone().into_bytes())))
        .at("/api/docs/reader.js", get(static_asset("text/javascript; charset=utf-8", Some(IMMUTABLE), reader_script)))
        .at(
            "/api/docs/start.js",
            get(static_asset("text/javascript; charset=utf-8", None, || start_script().into_bytes())),
        )
}

fn static_asset(
    content_type: &'static str,
    cache_control: Option<HeaderValue>,
    content: impl Fn() -> Vec<u8> + Send + Sync,
) -> impl Endpoint<Output = Response> {
    make_sync(move |_| {
        let response = Response::builder()
            .content_type(content_type)
            .header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
        let response =
            cache_control.iter().fold(response, |response, value| response.header(header::CACHE_CONTROL, value));
        response.body(content())
    })
}

/// Returns the script of Scalar's reader, which is embedded in the crate `scalar_api_reference`.
fn reader_script() -> Vec<u8> {
    scalar_api_reference::get_asset(READER_ASSET).unwrap_or_default()
}

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let hash = Sha256::digest(reader_script()).iter().take(8).fold(String::new(), |mut hash, byte| {
        write!(hash, "{byte:02x}").ok();
        hash
    });
    // The URLs are relative, because a proxy may serve the page under a path prefix.
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Magic links</title>
</head>
<body>
<div id="reader"></div>
<noscript>This page needs JavaScript. The OpenAPI document is <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/reader.js?{hash}"></script>
<script src="docs/start.js"></script>
</body>
</html>
"#
    )
});

/// The script that starts the reader without external fonts, proxies, assistants or telemetry.
fn start_script() -> String {
    let settings = json!({
        "agent": { "disabled": true },
        "mcp": { "disabled": true },
        "telemetry": false,
        "withDefaultFonts": false,
        "showDeveloperTools": "never",
        "hideClientButton": true,
        "persistAuth": false,
        "defaultOpenAllTags": true,
        "defaultHttpClient": { "targetKey": "js", "clientKey": "fetch" },
        "documentDownloadType": "both",
        "customCss": STYLE,
    });
    format!(
        "const settings = {settings};\n\
         settings.url = new URL('openapi.json', location.href).href;\n\
         Scalar.createApiReference('#reader', settings);\n"
    )
}
