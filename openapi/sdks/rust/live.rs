//! Tests the generated Rust client against a live api. `just sdk-test` runs it.

use magic_links::{
    Client, Error, ResponseValue,
    types::{ApiError, ErrorCode, MagicLinkAccepted, MagicLinkRequest},
};

type Answer = Result<ResponseValue<MagicLinkAccepted>, Error<ApiError>>;

async fn ask(api: &str, email: &str, page: &str) -> Answer {
    let body = MagicLinkRequest {
        email: email.try_into().unwrap(),
        callback_origin: Some("https://example.com".try_into().unwrap()),
        callback_next: Some(page.try_into().unwrap()),
        locale: None,
        time_zone: None,
    };
    let api = std::env::var(api).unwrap();
    Client::new(&api).send_magic_link(None, &body).await
}

fn refusal(answer: Answer) -> ResponseValue<ApiError> {
    match answer {
        Err(Error::ErrorResponse(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn retry_after(refusal: &ResponseValue<ApiError>) -> f64 {
    refusal.headers()["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_published_example_is_accepted() {
    let answer = ask("API_URL", "rust@example.com", "example").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.ok);
    magic_links_sdk_check::ask(&std::env::var("API_URL").unwrap(), "rust-two@example.com").await.unwrap();
}

#[tokio::test]
async fn a_400_contains_the_code_the_field_errors_and_all_issues() {
    let refusal = refusal(ask("API_URL", "no address@example.com", "//elsewhere.example").await);
    assert_eq!(refusal.status(), 400);
    assert_eq!(refusal.code, Some(ErrorCode::InvalidRequest));
    assert!(refusal.field_errors["email"].contains("name@example.com"));
    let mut paths: Vec<_> = refusal.issues.iter().map(|issue| issue.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["callback_next", "email"]);
}

#[tokio::test]
async fn a_429_has_the_seconds_to_wait_in_the_body_and_in_the_header() {
    for page in 0..10 {
        let answer = ask("API_URL", "rust-often@example.com", &format!("page-{page}")).await;
        if answer.is_ok() {
            continue;
        }
        let refusal = refusal(answer);
        assert_eq!(refusal.status(), 429);
        assert_eq!(refusal.code, Some(ErrorCode::RecipientRateLimited));
        let seconds = refusal.retry_after.unwrap();
        assert!(seconds >= 1.0);
        assert_eq!(retry_after(&refusal), seconds);
        return;
    }
    panic!("no request was limited");
}

#[tokio::test]
async fn an_api_without_its_database_answers_503() {
    let refusal = refusal(ask("API_WITHOUT_DATABASE_URL", "rust@example.com", "example").await);
    assert_eq!(refusal.status(), 503);
    assert_eq!(refusal.code, Some(ErrorCode::Unavailable));
    let seconds = refusal.retry_after.unwrap();
    assert!(seconds >= 1.0);
    assert_eq!(retry_after(&refusal), seconds);
}
