//! Tests of the example portal that need no browser.

use sandbox::{Portal, PortalSettings, client};
use serde_json::Value;
use std::collections::BTreeSet;

const DOCUMENT: &str = include_str!("../../../openapi/openapi.json");
const MESSAGES: &str = include_str!("../../../openapi/examples/portal/messages.js");
const CONFIG: &str = include_str!("../../../openapi/examples/portal/config.js");

/// The error codes in the OpenAPI document's examples for `/auth/send-magic-link`, and `not_found`, which the api
/// returns for unknown paths.
fn codes() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let answers = document["paths"]["/auth/send-magic-link"]["post"]["responses"].as_object().unwrap();
    let examples = answers.values().filter_map(|answer| answer.pointer("/content/application~1json/examples"));
    let mut codes: BTreeSet<String> =
        examples.flat_map(|examples| examples.as_object().unwrap().values()).map(code_of).collect();
    codes.insert("not_found".into());
    codes
}

fn code_of(example: &Value) -> String {
    example["value"]["code"].as_str().unwrap().to_owned()
}

#[test]
fn every_error_code_in_the_openapi_document_has_a_message() {
    let codes = codes();
    assert!(codes.len() >= 12, "{codes:?}");
    for code in codes {
        assert!(MESSAGES.contains(&format!("\n  {code}: ")), "messages.js has no message for {code}");
    }
}

#[tokio::test]
async fn the_callback_is_a_page_and_not_a_redirect() {
    let portal = Portal::start(PortalSettings::default()).await.unwrap();
    for (path, kind) in [
        ("/auth/callback?next=%2Fexample", "text/html"),
        ("/", "text/html"),
        ("/projects/42", "text/html"),
        ("/portal.css", "text/css"),
        ("/callback.js", "text/javascript"),
    ] {
        let answer = client().unwrap().get(format!("{}{path}", portal.url())).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("connect-src http://127.0.0.1:8080 http://127.0.0.1:8054;"), "{policy}");
    }
}

#[tokio::test]
async fn the_served_config_has_the_addresses_of_the_api_and_of_supabase() {
    let portal = Portal::start(PortalSettings {
        api: "http://127.0.0.1:4711/api".into(),
        supabase_url: "http://127.0.0.1:4712".into(),
        mails_show_code: true,
        ..PortalSettings::default()
    })
    .await
    .unwrap();
    let port = portal.url().rsplit_once(':').unwrap().1.to_owned();
    let answer = client().unwrap().get(format!("http://127.0.0.1:{port}/config.js")).send().await.unwrap();
    let served = answer.text().await.unwrap();
    assert_eq!(
        served,
        "export const api = \"http://127.0.0.1:4711/api\";\n\
         export const resendAfter = 30;\n\
         export const supabase = {\"key\":\"sandbox-anon-key\",\"url\":\"http://127.0.0.1:4712\"};\n\
         export const mailsShowCode = true;\n"
    );
    // The served file replaces the portal's own config.js, so both files must export the same names.
    let names = |text: &str| -> BTreeSet<String> {
        text.lines()
            .filter_map(|line| Some(line.strip_prefix("export const ")?.split(' ').next()?.to_owned()))
            .collect()
    };
    assert_eq!(names(&served), names(CONFIG));
}

#[tokio::test]
async fn a_request_for_another_host_is_redirected_to_localhost() {
    let portal = Portal::start(PortalSettings::default()).await.unwrap();
    let other = portal.url().replace("localhost", "127.0.0.1");
    for path in ["/?next=/projects/42", "/projects/42?tab=files", "//example.com/"] {
        let answer = client().unwrap().get(format!("{other}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 307);
        assert_eq!(answer.headers()["location"], format!("{}{path}", portal.url()));
    }
}
