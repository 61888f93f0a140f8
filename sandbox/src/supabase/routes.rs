//! The stand-in's paths, and the journal entry of each call.

use super::{
    LinkCall, State, VerifyCall, VerifyPost,
    answer::{self, ApiVersion},
    cors,
    generate_link::{self, RequestHead},
    link_request::LinkRequest,
    signed_in,
    verify::{self, LinkQuery},
};
use crate::{faults, server::Cut};
use poem::{
    Body, Endpoint, EndpointExt, IntoResponse, Request, Response, Route, RouteMethod, endpoint::make, http::StatusCode,
};
use std::{sync::atomic::Ordering, time::SystemTime};

/// All paths of the stand-in.
pub(super) fn routes(state: &State) -> impl Endpoint + 'static {
    let auth = Route::new()
        .at("/admin/generate_link", RouteMethod::new().post(on_body(state, make_link)))
        .at(
            "/verify",
            RouteMethod::new()
                .get(on_body(state, verify_get))
                .post(on_body(state, verify_post))
                // poem would handle HEAD like GET, which uses up the link. The real server rejects HEAD.
                .head(make(|_| async { method_not_allowed() })),
        )
        .at("/user", RouteMethod::new().get(on_body(state, get_user)))
        .at("/logout", RouteMethod::new().post(on_body(state, post_logout)))
        .at("/health", health());
    let has_gateway = state.with(|auth| auth.settings.gateway);
    Route::new()
        .nest("/auth/v1", auth)
        // Links point to this path if `verify_path` is the real server's default. Nothing is served at this path, but
        // the calls are recorded so that tests can count them.
        .at("/verify", RouteMethod::new().get(on_body(state, verify_elsewhere)))
        .nest("/_sandbox/faults", faults::routes(state.faults.clone()))
        .catch_error(|_: poem::error::NotFoundError| async { not_found() })
        .catch_error(|_: poem::error::MethodNotAllowedError| async { method_not_allowed() })
        .around(move |routes, request| async move { cors::allow_pages(has_gateway, &routes, request).await })
}

fn health() -> RouteMethod {
    let health = serde_json::json!({
        "version": "v2.196.0",
        "name": "GoTrue",
        "description": "GoTrue is a user registration and authentication API",
    });
    RouteMethod::new().get(make(move |_| {
        let answer = answer::json_answer(StatusCode::OK, &health);
        async move { answer }
    }))
}

/// An endpoint that passes the state, the request and its body to `work`.
fn on_body<F, Fut>(state: &State, work: F) -> impl Endpoint<Output = Response> + 'static
where
    F: Fn(State, Request, Vec<u8>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send,
{
    let state = state.clone();
    make(move |mut request: Request| {
        let (state, work) = (state.clone(), work.clone());
        async move {
            let body: Body = request.take_body();
            match body.into_vec().await {
                Ok(body) => work(state, request, body).await,
                Err(_) => StatusCode::BAD_REQUEST.into_response(),
            }
        }
    })
}

async fn make_link(state: State, request: Request, body: Vec<u8>) -> Response {
    let head = RequestHead::of(&request);
    let link = LinkRequest::parse(&body).unwrap_or_default();
    // A call with an address but without a type is a check call.
    if link.kind.is_empty() && !link.email.is_empty() {
        state.checks.fetch_add(1, Ordering::Relaxed);
        return state.faults.around_check(|| state.with(|auth| generate_link::respond(auth, &head, &body))).await;
    }
    let number = state.journal.add(|_| note(&request, &link));
    let work = || {
        let response = state.with(|auth| generate_link::respond(auth, &head, &body));
        let status = response.status().as_u16();
        state.journal.update(number, |call| call.carried_out = Some(status));
        response
    };
    let response = state.faults.around(std::slice::from_ref(&link.email), work).await;
    if response.extensions().get::<Cut>().is_none() {
        let status = response.status().as_u16();
        state.journal.update(number, |call| call.answered = Some(status));
    }
    response
}

fn note(request: &Request, link: &LinkRequest) -> LinkCall {
    let header = |name: &str| request.header(name).map(str::to_owned);
    LinkCall {
        at: SystemTime::now(),
        kind: link.kind.clone(),
        email: link.email.clone(),
        redirect_to: link.redirect_to.clone(),
        user_agent: header("user-agent"),
        referer: header("referer"),
        api_version: header("x-supabase-api-version"),
        apikey_present: request.header("apikey").is_some(),
        carried_out: None,
        answered: None,
    }
}

async fn verify_get(state: State, request: Request, _: Vec<u8>) -> Response {
    state.verify_journal.add(|_| note_verify(&state, &request));
    state.verify_faults.around(&[], || state.with(|auth| verify::get(auth, &request))).await
}

async fn verify_elsewhere(state: State, request: Request, _: Vec<u8>) -> Response {
    state.verify_journal.add(|_| note_verify(&state, &request));
    not_found()
}

fn note_verify(state: &State, request: &Request) -> VerifyCall {
    let LinkQuery { kind, hash, redirect_to } = LinkQuery::of(request);
    let is_known = state.with(|auth| auth.users.have_issued(&hash));
    VerifyCall {
        path: request.original_uri().path().to_owned(),
        kind,
        unknown_token: (!is_known).then_some(hash),
        redirect_to,
        key_present: ["apikey", "authorization"].into_iter().any(|name| request.header(name).is_some()),
    }
}

async fn verify_post(state: State, request: Request, body: Vec<u8>) -> Response {
    let header = |name: &str| request.header(name).map(str::to_owned);
    state.verify_posts.add(|_| VerifyPost {
        forwarded_for: header("x-forwarded-for"),
        sb_forwarded_for: header("sb-forwarded-for"),
        apikey: header("apikey"),
    });
    let version = ApiVersion::of(&request);
    state.verify_faults.around(&[], || state.with(|auth| verify::post(auth, version, &body))).await
}

async fn get_user(state: State, request: Request, _: Vec<u8>) -> Response {
    state.with(|auth| signed_in::user(auth, &request))
}

async fn post_logout(state: State, request: Request, _: Vec<u8>) -> Response {
    state.with(|auth| signed_in::logout(auth, &request))
}

fn not_found() -> Response {
    Response::builder()
        .status(StatusCode::NOT_FOUND)
        .content_type("text/plain; charset=utf-8")
        .body("404 page not found\n")
}

fn method_not_allowed() -> Response {
    Response::builder().status(StatusCode::METHOD_NOT_ALLOWED).finish()
}
