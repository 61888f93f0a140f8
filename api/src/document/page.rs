//! The page that shows the document: Scalar's reader, which its own crate brings along, set up to load nothing that
//! this server does not give.

use std::{fmt::Write as _, sync::LazyLock};

use poem::{
    Endpoint, Response, Route,
    endpoint::make_sync,
    get,
    http::{HeaderValue, header},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Style elements are made by the reader's script; everything else is this server's own.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const READER: &str = "scalar.js";
const STYLE: &str = include_str!("page.css");
/// Named after its content, so that it need not be asked for twice.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Adds the page, and what it loads.
pub(crate) fn add_to(route: Route) -> Route {
    route
        .at("/api/docs", get(answer("text/html; charset=utf-8", None, || PAGE.clone().into_bytes())))
        .at("/api/docs/reader.js", get(answer("text/javascript; charset=utf-8", Some(FOR_EVER), reader)))
        .at("/api/docs/start.js", get(answer("text/javascript; charset=utf-8", None, || start().into_bytes())))
}

fn answer(
    content_type: &'static str,
    keep: Option<HeaderValue>,
    content: impl Fn() -> Vec<u8> + Send + Sync,
) -> impl Endpoint<Output = Response> {
    make_sync(move |_| {
        let response = Response::builder().content_type(content_type).header(header::CONTENT_SECURITY_POLICY, POLICY);
        let response = keep.iter().fold(response, |response, keep| response.header(header::CACHE_CONTROL, keep));
        response.body(content())
    })
}

/// The reader's script. The crate holds it; a copy lives for as long as an answer.
fn reader() -> Vec<u8> {
    scalar_api_reference::get_asset(READER).unwrap_or_default()
}

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let name = Sha256::digest(reader()).iter().take(8).fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}").ok();
        name
    });
    // The addresses are relative to the page's: it may stand behind a proxy that puts something before them.
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
<noscript>This page needs scripts. The document itself: <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/reader.js?{name}"></script>
<script src="docs/start.js"></script>
</body>
</html>
"#
    )
});

/// Starts the reader: no fonts, proxies, assistants or reports of somebody else's.
fn start() -> String {
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
