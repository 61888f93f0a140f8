//! Answers GET, HEAD and POST of a confirm link.

use std::{num::NonZeroU32, sync::Arc, time::SystemTime};

use confirm::{CONFIRM_PATH, Content};
use poem::{
    Request, Response, Route,
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
use crate::{
    callback::{allowed_origins::AllowedOrigins, origin::Origin},
    ip_limit::limiter::IpRateLimiter,
    metrics,
};

/// The page.
#[derive(Debug)]
pub(crate) struct ConfirmPage {
    settings: ConfirmSettings,
    origins: AllowedOrigins,
    limiter: IpRateLimiter,
}

impl ConfirmPage {
    /// A page that leads to the portals of `origins`. `limiter` must serve no other requests.
    pub(crate) fn new(settings: ConfirmSettings, origins: AllowedOrigins, limiter: IpRateLimiter) -> Self {
        Self { settings, origins, limiter }
    }

    /// Removes what the rate limit no longer needs to know. Never returns.
    pub(crate) async fn run_cleanup(&self) {
        self.limiter.run_cleanup().await;
    }

    /// Adds the page, its style and its script.
    pub(crate) fn add_routes(self: Arc<Self>, route: Route) -> Route {
        let (page, posted) = (self.clone(), self);
        let show = make_sync(move |request| page.show(&request));
        let press = make_sync(move |request| posted.press(&request));
        route
            .at("/auth/confirm.css", get(assets::style()))
            .at("/auth/confirm.js", get(assets::script()))
            .at(format!("{CONFIRM_PATH}*word"), get(show).post(press))
    }

    /// GET and HEAD.
    fn show(&self, request: &Request) -> Response {
        respond("open", self.read(request), page::ready)
    }

    /// POST.
    fn press(&self, request: &Request) -> Response {
        let content = match is_foreign(request.headers(), self.settings.public_url.origin()) {
            true => Err(Problem::Foreign),
            false => self.read(request),
        };
        respond("press", content, redirect)
    }

    fn check_limit(&self, request: &Request) -> Result<(), Problem> {
        let Some(peer) = request.remote_addr().as_socket_addr() else { return Ok(()) };
        let client = self.limiter.client_ip(peer.ip(), request.headers());
        let taken = self.limiter.take(client, NonZeroU32::MIN);
        taken.map(drop).map_err(|exceeded| Problem::Limited { retry_after: exceeded.until_more.into() })
    }

    /// The word's content, if it is authentic, has not expired, and leads to a portal that is still allowed.
    fn read(&self, request: &Request) -> Result<Content, Problem> {
        self.check_limit(request)?;
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

fn respond(step: &'static str, content: Result<Content, Problem>, good: fn(&Content) -> Response) -> Response {
    metrics::count_confirm(step, content.as_ref().err().map_or("ok", Problem::name));
    content.map_or_else(|problem| page::problem(&problem), |content| good(&content))
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
