//! Answers GET, HEAD and POST requests to a confirm link.

use std::{num::NonZeroU32, sync::Arc, time::SystemTime};

use confirm::{CONFIRM_PATH, Content};
use poem::{
    Request, Response, Route,
    endpoint::make_sync,
    get,
    http::{HeaderValue, StatusCode, header},
};
use portals::Origin;
use program::Live;
use url::Url;
use words::{Language, choose_language};

use super::{
    ConfirmSettings, assets,
    foreign::is_foreign,
    page::{self, Problem},
    page_words::{PageWords, language_of},
};
use crate::{
    ip_limit::limiter::IpRateLimiter,
    metrics,
    portal::{FoundPortal, Portal, live::LiveSettings},
};

/// The confirm page and everything that its handlers need.
#[derive(Debug)]
pub(crate) struct ConfirmPage {
    settings: ConfirmSettings,
    live: Arc<Live<LiveSettings>>,
    limiter: IpRateLimiter,
}

/// A page that explains a problem instead of showing the button.
struct Refusal {
    problem: Problem,
    /// The language of the page. `None` if the link's language is unknown.
    language: Option<Language>,
    /// The portal whose words the page uses. `None` if the link's portal is unknown.
    portal: Option<Arc<Portal>>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, language: None, portal: None }
    }
}

/// The content of an authentic link, and the language and the portal of its page.
struct OpenedLink {
    content: Content,
    language: Language,
    portal: Arc<Portal>,
}

impl ConfirmPage {
    /// Creates the page. `limiter` must count only requests for this page.
    pub(crate) fn new(settings: ConfirmSettings, live: Arc<Live<LiveSettings>>, limiter: IpRateLimiter) -> Self {
        Self { settings, live, limiter }
    }

    pub(crate) fn settings(&self) -> &ConfirmSettings {
        &self.settings
    }

    /// Keeps removing idle buckets from the rate limiter. Never returns.
    pub(crate) async fn run_cleanup(&self) {
        self.limiter.run_cleanup().await;
    }

    /// Adds the routes of the page, its style and its script.
    pub(crate) fn add_routes(self: Arc<Self>, route: Route) -> Route {
        let (page, posted) = (self.clone(), self);
        let show = make_sync(move |request| page.show(&request));
        let press = make_sync(move |request| posted.press(&request));
        route
            .at("/auth/confirm.css", get(assets::style()))
            .at("/auth/confirm.js", get(assets::script()))
            .at(format!("{CONFIRM_PATH}*payload"), get(show).post(press))
    }

    /// Answers GET and HEAD with the page that shows the button, or with a page that explains a problem.
    fn show(&self, request: &Request) -> Response {
        let live = self.live.current();
        let show = |OpenedLink { content, language, portal }: OpenedLink| {
            page::ready(PageWords::of_content(live.words_of(Some(&portal)), language, &content), &content)
        };
        self.respond("open", request, &live, self.read(request, &live).map(show))
    }

    /// Answers POST with a redirect to Supabase, or with a page that explains a problem.
    fn press(&self, request: &Request) -> Response {
        let live = self.live.current();
        let content = match is_foreign(request.headers(), self.settings.public_url.origin()) {
            true => Err(Problem::Foreign.into()),
            false => self.read(request, &live),
        };
        let redirected = content.and_then(|OpenedLink { content, language, portal }| {
            let refusal = |problem| Refusal { problem, language: Some(language), portal: Some(portal) };
            redirect(&content).map_err(refusal)
        });
        self.respond("press", request, &live, redirected)
    }

    fn respond(
        &self,
        step: &'static str,
        request: &Request,
        live: &LiveSettings,
        response: Result<Response, Refusal>,
    ) -> Response {
        metrics::count_confirm(step, response.as_ref().err().map_or("ok", |refusal| refusal.problem.name()));
        response.unwrap_or_else(|Refusal { problem, language, portal }| {
            let words = live.words_of(portal.as_deref());
            let accepted = || choose_language(None, accept_language(request), &words.offered());
            page::problem(PageWords::new(words, language.unwrap_or_else(accepted)), &problem)
        })
    }

    fn check_limit(&self, request: &Request) -> Result<(), Problem> {
        let Some(peer) = request.remote_addr().as_socket_addr() else { return Ok(()) };
        let client = self.limiter.client_ip(peer.ip(), request.headers());
        let taken = self.limiter.take(client, NonZeroU32::MIN);
        taken.map(drop).map_err(|exceeded| Problem::Limited { retry_after: exceeded.until_more.into() })
    }

    /// Opens the link if the request is within the rate limit, the payload is authentic and has not expired, and the
    /// callback URL belongs to a portal that is still allowed.
    fn read(&self, request: &Request, live: &LiveSettings) -> Result<OpenedLink, Refusal> {
        self.check_limit(request)?;
        // Do not strip PUBLIC_URL's path here. A proxy in front of the api must already have stripped the path, because
        // the route would not match otherwise.
        let payload = request.uri().path().strip_prefix(CONFIRM_PATH).unwrap_or_default();
        let content = self.settings.keys.decode(payload).map_err(|_| Problem::Unreadable)?;
        let found = find_portal(&content, live);
        let portal = found.as_ref().ok().map(|found| found.portal.clone());
        let language = language_of(&content, accept_language(request), live.words_of(portal.as_deref()));
        let opened = found.and_then(|FoundPortal { portal, origin }| {
            if content.expires_at.has_passed(SystemTime::now()) {
                return Err(Problem::Expired { portal: format!("{}/", origin.origin.as_str()) });
            }
            Ok(OpenedLink { content, language, portal })
        });
        opened.map_err(|problem| Refusal { problem, language: Some(language), portal })
    }
}

/// Returns the portal that the link leads to. Fails if the callback URL is invalid or belongs to no allowed portal.
fn find_portal(content: &Content, live: &LiveSettings) -> Result<FoundPortal, Problem> {
    let callback = Url::parse(&content.callback_url).map_err(|_| Problem::Unreadable)?;
    let origin = Origin::from_url(&callback).ok_or(Problem::NotAllowed)?;
    live.portals.find(&origin).ok_or(Problem::NotAllowed)
}

/// Returns the `Accept-Language` header, which lists the languages that the browser accepts.
fn accept_language(request: &Request) -> Option<&str> {
    request.headers().get(header::ACCEPT_LANGUAGE)?.to_str().ok()
}

/// Redirects to Supabase's verify address with a 303, so that the browser itself uses up the token. `type=email` works
/// for every kind of link (Supabase: internal/api/verify.go).
fn redirect(content: &Content) -> Result<Response, Problem> {
    let mut target = Url::parse(&content.verify_url).map_err(|_| Problem::Unreadable)?;
    target.query_pairs_mut().clear().extend_pairs([
        ("token", content.token_hash.as_str()),
        ("type", "email"),
        ("redirect_to", content.callback_url.as_str()),
    ]);
    let target = HeaderValue::try_from(target.as_str()).map_err(|_| Problem::Unreadable)?;
    Ok(Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, target)
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::CACHE_CONTROL, "no-store")
        .finish())
}
