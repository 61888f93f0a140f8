//! Serves the confirm page's style sheet and script at `/auth/confirm.css` and `/auth/confirm.js`.

use poem::{Endpoint, Response, endpoint::make_sync, http::header};

const STYLE: &str = include_str!("confirm.css");
const SCRIPT: &str = include_str!("confirm.js");

pub(super) fn style() -> impl Endpoint<Output = Response> {
    asset("text/css; charset=utf-8", STYLE)
}

pub(super) fn script() -> impl Endpoint<Output = Response> {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

/// Serves content that browsers may cache for five minutes. The time is short, because the URL stays the same when the
/// content changes.
fn asset(content_type: &'static str, content: &'static str) -> impl Endpoint<Output = Response> {
    make_sync(move |_| {
        Response::builder()
            .content_type(content_type)
            .header(header::CACHE_CONTROL, "public, max-age=300")
            .body(content)
    })
}
