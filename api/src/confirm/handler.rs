//! Answers GET, HEAD and POST of a confirm link.

use std::{sync::Arc, time::SystemTime};

use confirm::{CONFIRM_PATH, Content};
use poem::{
    Endpoint, Request, Response, Route,
    endpoint::make_sync,
    get,
    http::{HeaderValue, StatusCode, header},
};
use url::Url;

use super::{
    ConfirmSettings, assets,
    foreign::is_foreign,
    page::{self, Problem},
};
use crate::callback::{allowed_origins::AllowedOrigins, origin::Origin};

/// Adds the page, its style and its script.
pub(crate) fn add_routes(route: Route, settings: &ConfirmSettings, origins: &AllowedOrigins) -> Route {
    let page = Arc::new(ConfirmPage { settings: settings.clone(), origins: origins.clone() });
    let posted = page.clone();
    route
        .at("/auth/confirm.css", get(assets::style()))
        .at("/auth/confirm.js", get(assets::script()))
        .at(
            format!("{CONFIRM_PATH}*word"),
            get(make_sync(move |request| page.show(&request))).post(make_sync(move |request| posted.press(&request))),
        )
}

struct ConfirmPage {
    settings: ConfirmSettings,
    origins: AllowedOrigins,
}

impl ConfirmPage {
    /// GET and HEAD.
    fn show(&self, request: &Request) -> Response {
        match self.read(request) {
            Ok(content) => page::ready(&content),
            Err(problem) => page::problem(&problem),
        }
    }

    /// POST.
    fn press(&self, request: &Request) -> Response {
        if is_foreign(request.headers(), self.settings.public_url.origin()) {
            return page::problem(&Problem::Foreign);
        }
        match self.read(request) {
            Ok(content) => redirect(&content),
            Err(problem) => page::problem(&problem),
        }
    }

    /// The word's content, if it is authentic, has not expired, and leads to a portal that is still allowed.
    fn read(&self, request: &Request) -> Result<Content, Problem> {
        // Behind a proxy that strips a prefix, the path is what the route matched, not what PUBLIC_URL says.
        let word = request.uri().path().strip_prefix(CONFIRM_PATH).unwrap_or_default();
        let content = self.settings.keys.decode(word).map_err(|_| Problem::Unreadable)?;
        let callback = Url::parse(&content.callback_url).map_err(|_| Problem::Unreadable)?;
        let origin = Origin::from_url(&callback).ok_or(Problem::NotAllowed)?;
        let portal = self.origins.find_portal(origin).ok_or(Problem::NotAllowed)?;
        if content.expires_at.has_passed(SystemTime::now()) {
            return Err(Problem::Expired { portal: format!("{}/", portal.origin.as_str()) });
        }
        Ok(content)
    }
}

/// 303 to Supabase's verify address, so that the browser itself spends the token. `type=email` fits links of every kind
/// (Supabase: internal/api/verify.go).
fn redirect(content: &Content) -> Response {
    let Ok(mut target) = Url::parse(&content.verify_url) else {
        return page::problem(&Problem::Unreadable);
    };
    target.query_pairs_mut().clear().extend_pairs([
        ("token", content.token_hash.as_str()),
        ("type", "email"),
        ("redirect_to", content.callback_url.as_str()),
    ]);
    let Ok(target) = HeaderValue::try_from(target.as_str()) else {
        return page::problem(&Problem::Unreadable);
    };
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, target)
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::CACHE_CONTROL, "no-store")
        .finish()
}
