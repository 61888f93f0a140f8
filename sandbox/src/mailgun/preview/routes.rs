//! `GET /mails` renders the mails and shows them. `GET /mails/…` serves the files of the last successful run.

use poem::{
    EndpointExt, IntoResponse, Response, Route, get, handler,
    http::StatusCode,
    web::{Data, Path},
};

use super::{Preview, page};

const STYLE: &str = include_str!("preview.css");
const SCRIPT: &str = include_str!("preview.js");

/// The page runs only its own script, and its frames show only the files of the preview.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; frame-src 'self'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A mail runs no scripts and loads nothing, whether it is shown in a frame or opened directly. `allow-same-origin`
/// lets the page measure the height of the mail.
const FILE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox";

/// Adds the preview's routes to `route`.
pub(in crate::mailgun) fn routes(route: Route, preview: Preview) -> Route {
    route
        .at("/mails", get(show).data(preview.clone()))
        .at("/mails/*file", get(file).data(preview))
        .at("/preview.css", get(style))
        .at("/preview.js", get(script))
}

#[handler]
async fn show(Data(preview): Data<&Preview>) -> Response {
    let page = match preview.render().await {
        Ok(files) => page::of_mails(&files.mails),
        Err(faults) => page::of_faults(&faults),
    };
    answer("text/html; charset=utf-8", PAGE_POLICY, page.into_bytes())
}

#[handler]
fn file(Data(preview): Data<&Preview>, Path(path): Path<String>) -> Response {
    let newest = preview.newest();
    match newest.get(&path).zip(media_type(&path)) {
        Some((content, media_type)) => answer(media_type, FILE_POLICY, content.to_vec()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The media type of a file. Covers every type of file that the preview command writes.
fn media_type(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "txt" | "headers" => Some("text/plain; charset=utf-8"),
        "json" => Some("application/json"),
        "png" => Some("image/png"),
        "jpg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        _ => None,
    }
}

fn answer(media_type: &str, policy: &str, body: Vec<u8>) -> Response {
    Response::builder()
        .content_type(media_type)
        .header("cache-control", "no-store")
        .header("referrer-policy", "no-referrer")
        .header("x-content-type-options", "nosniff")
        .header("content-security-policy", policy)
        .body(body)
}

#[handler]
fn style() -> Response {
    Response::builder().content_type("text/css; charset=utf-8").body(STYLE)
}

#[handler]
fn script() -> Response {
    Response::builder().content_type("text/javascript; charset=utf-8").body(SCRIPT)
}
