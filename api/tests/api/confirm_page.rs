//! The confirm page: opening it changes nothing, pressing its button redirects to Supabase, and nobody without a key
//! can change where a link goes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use confirm::{ConfirmKeys, Content, Expiry};

use crate::{
    harness::{TestApi, spawn},
    http::{HttpResponse, RawRequest},
};

const PUBLIC_URL: &str = "https://login.example.com";
/// 32 bytes of 0x01.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// 32 bytes of 0x02.
const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const TOKEN_HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef01234567";
const LOCATION: &str = "https://abc.supabase.co/auth/v1/verify?token=0123456789abcdef0123456789abcdef0123456789abcdef01234567\
                        &type=email&redirect_to=https%3A%2F%2Fportal.example.com%2Fauth%2Fcallback%3Fnext%3D%252Fa";

fn content() -> Content {
    let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
    Content {
        verify_url: "https://abc.supabase.co/auth/v1/verify".to_owned(),
        token_hash: TOKEN_HASH.to_owned(),
        recipient: Some("ann@example.com".to_owned()),
        callback_url: "https://portal.example.com/auth/callback?next=%2Fa".to_owned(),
        shown_host: "portal.example.com".to_owned(),
        has_code: false,
        language: None,
        expires_at: Expiry(in_an_hour.duration_since(UNIX_EPOCH).unwrap().as_secs()),
    }
}

fn payload_with(key: &str, content: &Content) -> String {
    let keys: ConfirmKeys = key.parse().unwrap();
    keys.encode(content, keys.current()).unwrap()
}

fn payload(content: &Content) -> String {
    payload_with(KEY, content)
}

async fn start() -> TestApi {
    TestApi::start(&[("PUBLIC_URL", PUBLIC_URL), ("CONFIRM_KEY", KEY)]).await
}

fn request(method: &'static str, payload: &str) -> RawRequest {
    RawRequest::new(method, format!("/auth/confirm/{payload}").leak())
}

async fn open(api: &TestApi, payload: &str) -> HttpResponse {
    request("GET", payload).send(api.public).await
}

async fn press(api: &TestApi, payload: &str) -> HttpResponse {
    request("POST", payload).header("Origin", PUBLIC_URL).send(api.public).await
}

fn text(response: &HttpResponse) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

/// Asserts that the response is a page with `words` and without a form.
#[track_caller]
fn assert_problem(response: &HttpResponse, status: u16, words: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(text(response).contains(words) && !text(response).contains("<form"), "{}", text(response));
    assert_eq!(response.header("location"), None);
    assert!(response.header("content-security-policy").unwrap().ends_with("form-action 'self'"), "{response:?}");
}

#[tokio::test]
async fn opening_the_page_shows_a_button_and_changes_nothing() {
    let api = start().await;
    let payload = payload(&content());
    for _ in 0..3 {
        let head = request("HEAD", &payload).send_for_head(api.public).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        let page = open(&api, &payload).await;
        assert_eq!(page.status, 200);
        let page = text(&page);
        for part in ["Sign in to", "portal.example.com", "ann@example.com", "<form method=\"post\">", "Not you?"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        for secret in [TOKEN_HASH, "supabase", "code from the mail"] {
            assert!(!page.contains(secret), "{secret}: {page}");
        }
    }
    // Query parameters have no effect.
    let steered = open(&api, &format!("{payload}?email=eve@example.com&next=https://evil.example")).await;
    assert!(steered.status == 200 && !text(&steered).contains("e&"), "{}", text(&steered));
    assert!(!text(&steered).contains("eve@") && !text(&steered).contains("evil.example"), "{}", text(&steered));
}

#[tokio::test]
async fn the_page_cannot_be_framed_stored_or_indexed_and_loads_nothing_from_other_servers() {
    let api = start().await;
    let page = open(&api, &payload(&content())).await;
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; base-uri 'none'; frame-ancestors \
             'none'; form-action 'self' https://abc.supabase.co https://portal.example.com",
        ),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("x-robots-tag", "noindex, nofollow"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert_eq!(text(&page).matches("<script").count(), 1);
    for (path, content_type) in
        [("/auth/confirm.css", "text/css; charset=utf-8"), ("/auth/confirm.js", "text/javascript; charset=utf-8")]
    {
        assert!(text(&page).contains(&format!("\"../{}\"", path.rsplit('/').next().unwrap())));
        let asset = RawRequest::new("GET", path).send(api.public).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(content_type)));
    }
}

#[tokio::test]
async fn pressing_the_button_redirects_to_supabase_even_for_two_simultaneous_presses() {
    let api = start().await;
    let payload = payload(&content());
    let (first, second) = tokio::join!(press(&api, &payload), press(&api, &payload));
    for pressed in [first, second] {
        assert_eq!((pressed.status, pressed.header("location")), (303, Some(LOCATION)));
        assert_eq!(pressed.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(pressed.header("cache-control"), Some("no-store"));
        assert!(pressed.body.is_empty());
    }
    // A request without `Origin` can come from a browser that omits the header, or from a program.
    assert_eq!(request("POST", &payload).send(api.public).await.status, 303);
}

#[tokio::test]
async fn a_post_from_another_site_is_refused() {
    let api = start().await;
    let payload = payload(&content());
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "https://portal.example.com"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let response = request("POST", &payload).header(name, value).send(api.public).await;
        assert_problem(&response, 403, "Another site tried to sign you in");
    }
}

#[tokio::test]
async fn a_link_damaged_beyond_repair_gets_an_explanation() {
    let api = start().await;
    let good = payload(&content());
    let cut = (0..good.len()).step_by(7).map(|length| good[..length].to_owned());
    let flipped = (0..good.len()).step_by(7).map(|at| {
        let other = if good.as_bytes()[at] == b'A' { 'B' } else { 'A' };
        format!("{}{other}{}", &good[..at], &good[at + 1..])
    });
    let others = [payload_with(OTHER_KEY, &content()), good.to_uppercase(), "x".to_owned(), "A".repeat(10_000)];
    for text in cut.filter(|text| !text.is_empty()).chain(flipped).chain(others) {
        assert_problem(&open(&api, &text).await, 404, "copy the whole link");
        assert_problem(&press(&api, &text).await, 404, "copy the whole link");
    }
    let huge = open(&api, &"A".repeat(100 * 1024)).await;
    assert!(matches!(huge.status, 404 | 414 | 431), "{}", huge.status);
}

#[tokio::test]
async fn characters_that_mail_programs_add_to_a_link_are_removed() {
    let api = start().await;
    let payload = payload(&content());
    let (first, second) = payload.split_at(70);
    for text in
        [format!("{payload}%3E"), format!("{payload}."), format!("{payload}%20"), format!("{first}%0D%0A{second}")]
    {
        assert_eq!(open(&api, &text).await.status, 200, "{text}");
        assert_eq!(press(&api, &text).await.header("location"), Some(LOCATION), "{text}");
    }
}

#[tokio::test]
async fn an_expired_link_leads_to_the_portal_and_not_to_supabase() {
    let api = start().await;
    let payload = payload(&Content { expires_at: Expiry(1_000_000_000), ..content() });
    for response in [open(&api, &payload).await, press(&api, &payload).await] {
        assert_problem(&response, 410, "This link has expired");
        assert!(text(&response).contains("href=\"https://portal.example.com/\""), "{}", text(&response));
    }
}

#[tokio::test]
async fn a_callback_that_is_no_longer_allowed_is_refused_for_get_and_post() {
    let api = start().await;
    for callback_url in
        ["https://old.example.com/auth/callback", "http://portal.example.com/", "javascript:alert(1)", ""]
    {
        let payload = payload(&Content { callback_url: callback_url.to_owned(), ..content() });
        for response in [open(&api, &payload).await, press(&api, &payload).await] {
            assert!(matches!(response.status, 403 | 404), "{callback_url}: {}", response.status);
            assert!(!text(&response).contains("<form") && response.header("location").is_none());
        }
    }
}

#[tokio::test]
async fn the_page_mentions_a_code_in_the_mail_and_leaves_out_an_unknown_address() {
    let api = start().await;
    let page = open(&api, &payload(&Content { has_code: true, recipient: None, ..content() })).await;
    assert!(text(&page).contains("Type the code from the mail there"), "{}", text(&page));
    assert!(text(&page).contains("the link from your mail") && !text(&page).contains('@'), "{}", text(&page));
}

/// Opens a link as a browser with this `Accept-Language` header would.
async fn open_as(api: &TestApi, payload: &str, accept_language: &str) -> HttpResponse {
    request("GET", payload).header("Accept-Language", accept_language).send(api.public).await
}

#[tokio::test]
async fn the_page_is_in_the_language_of_the_mail() {
    let api = start().await;
    for (language, html, button, problem) in [
        (None, "<html lang=\"en\" dir=\"ltr\">", "Sign in as <bdi>", "This link has expired"),
        (Some("de"), "<html lang=\"de\" dir=\"ltr\">", "Als <bdi>ann@example.com</bdi> anmelden", "Zur Anmeldeseite"),
        (Some("fr"), "<html lang=\"fr\" dir=\"ltr\">", "Se connecter en tant que <bdi>", "Ce lien a expiré"),
        (Some("es"), "<html lang=\"es\" dir=\"ltr\">", "Iniciar sesión como <bdi>", "Este enlace ha caducado"),
        (
            Some("ar"),
            "<html lang=\"ar\" dir=\"rtl\">",
            "<bdi class=\"portal\">portal.example.com</bdi>",
            "انتهت صلاحية هذا الرابط",
        ),
    ] {
        let content = Content { language: language.map(str::to_owned), ..content() };
        // The mail's language takes precedence over the browser's.
        let page = open_as(&api, &payload(&content), "it, es;q=0.5").await;
        assert_eq!(page.status, 200);
        assert!(text(&page).contains(html) && text(&page).contains(button), "{}", text(&page));
        let expired = payload(&Content { expires_at: Expiry(1_000_000_000), ..content });
        let page = open_as(&api, &expired, "it, es;q=0.5").await;
        assert_problem(&page, 410, problem);
        assert!(text(&page).contains(html), "{}", text(&page));
    }
}

#[tokio::test]
async fn if_the_language_of_the_mail_is_unknown_the_page_uses_the_browsers_language() {
    let api = start().await;
    for (accept_language, words) in [
        ("de-AT,de;q=0.9,en;q=0.8", "Dieser Link ist unvollständig"),
        ("it, ar;q=0.3, fr;q=0.7", "Ce lien est incomplet"),
        ("it", "This link is incomplete"),
        ("../../etc, *;q=9", "This link is incomplete"),
    ] {
        assert_problem(&open_as(&api, "x", accept_language).await, 404, words);
    }
    let foreign = request("POST", "x").header("Origin", "null").header("Accept-Language", "es").send(api.public).await;
    assert_problem(&foreign, 403, "Abra el enlace de su correo");
    // The payload contains a language for which the worker has messages, but this api has none.
    let unknown = payload(&Content { language: Some("tlh".to_owned()), ..content() });
    assert!(text(&open_as(&api, &unknown, "de").await).contains("<html lang=\"de\""));
    assert!(text(&open(&api, &unknown).await).contains("<html lang=\"en\""));
}

/// Even in an authentic payload, an address can contain any character.
#[tokio::test]
async fn values_from_a_link_are_always_escaped() {
    let api = start().await;
    for language in ["en", "ar"] {
        let (language, recipient) = (Some(language.to_owned()), Some("\"<i>\"&{host}@example.com".to_owned()));
        let page = open(&api, &payload(&Content { language, recipient, ..content() })).await;
        let escaped = "<bdi>&#34;&#60;i&#62;&#34;&#38;{host}@example.com</bdi>";
        assert_eq!(text(&page).matches(escaped).count(), 2, "{}", text(&page));
        assert!(!text(&page).contains("<i>"), "{}", text(&page));
    }
}

#[tokio::test]
async fn the_page_has_its_own_limit_per_network() {
    let api = TestApi::start(&[
        ("PUBLIC_URL", PUBLIC_URL),
        ("CONFIRM_KEY", KEY),
        ("CONFIRM_RATE_LIMIT", "3/1h"),
        ("IP_RATE_LIMIT", "1/1h"),
    ])
    .await;
    let payload = payload(&content());
    for _ in 0..2 {
        assert_eq!(open(&api, &payload).await.status, 200);
    }
    assert_eq!(press(&api, &payload).await.status, 303);
    let limited = press(&api, &payload).await;
    assert_problem(&limited, 429, "Wait a minute");
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1_000);
    assert_problem(&open(&api, &payload).await, 429, "Wait a minute");
    // Another network and another endpoint have their own limits.
    let other = request("GET", &payload).header("X-Forwarded-For", "203.0.113.7").send(api.public).await;
    assert_eq!(other.status, 200);
    assert_eq!(api.request_link("hello@example.com").await.status, 200);
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn no_part_of_a_link_is_logged() {
    let api = TestApi::start(&[("PUBLIC_URL", PUBLIC_URL), ("CONFIRM_KEY", KEY), ("RUST_LOG", "trace")]).await;
    let payload = payload(&content());
    for response in
        [open(&api, &payload).await, press(&api, &payload).await, open(&api, &payload[..payload.len() - 1]).await]
    {
        assert!(response.header("x-request-id").is_some());
    }
    // Send one more request and wait for its log line. All earlier lines are then also in the log.
    assert_eq!(api.request_link("hello@example.com").await.status, 200);
    api.program.wait_for_line("request answered", Duration::from_secs(20)).await.unwrap();
    let log = api.program.log().join("\n");
    for secret in [&payload[..20], &payload[payload.len() - 20..], TOKEN_HASH, "ann@example.com", "auth/confirm/", KEY]
    {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn requests_for_the_page_are_counted_by_step_and_result() {
    let api = start().await;
    let payload = payload(&content());
    open(&api, &payload).await;
    request("HEAD", &payload).send_for_head(api.public).await;
    press(&api, &payload).await;
    press(&api, "x").await;
    let metrics = RawRequest::new("GET", "/metrics").send(api.private).await;
    for (step, result, count) in [("open", "ok", 2), ("press", "ok", 1), ("press", "unreadable", 1)] {
        let line = format!("magic_link_api_confirm_requests_total{{step=\"{step}\",result=\"{result}\"}} {count}\n");
        assert!(text(&metrics).contains(&line), "{line}");
    }
}

#[tokio::test]
async fn without_its_settings_the_page_is_not_served() {
    let api = TestApi::start(&[]).await;
    assert_eq!(open(&api, &payload(&content())).await.code(), "not_found");
}

#[tokio::test]
async fn invalid_settings_of_the_page_are_reported_at_startup() {
    for (settings, line) in [
        (vec![("PUBLIC_URL", PUBLIC_URL)], "CONFIRM_KEY: is missing"),
        (vec![("CONFIRM_KEY", KEY)], "PUBLIC_URL: is missing"),
        (
            vec![("PUBLIC_URL", "http://login.example.com"), ("CONFIRM_KEY", KEY)],
            "PUBLIC_URL: `http://login.example.com` does not begin with https://",
        ),
        (
            vec![("PUBLIC_URL", "https://login.example.com/?a=b"), ("CONFIRM_KEY", KEY)],
            "PUBLIC_URL: `https://login.example.com/?a=b` has a query",
        ),
        (vec![("PUBLIC_URL", PUBLIC_URL), ("CONFIRM_KEY", "c2VzYW1l")], "CONFIRM_KEY: is not 32 bytes long"),
        (vec![("CONFIRM_RATE_LIMIT", "x")], "CONFIRM_RATE_LIMIT: "),
    ] {
        let mut all = crate::harness::good_settings("postgres://nobody@127.0.0.1:1/nothing");
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let program = spawn(&all);
        assert_eq!(program.wait().await.code(), Some(2));
        let log = program.log().join("\n");
        assert!(log.contains(line) && !log.contains("c2VzYW1l"), "{log}");
    }
}
