//! The OpenAPI document: it matches the published reference, the program's real responses, and the committed copy.

use api::document::PublishedLimits;
use serde_json::{Value, json};

use crate::{
    harness::{PATH, PORTAL, TestApi, post},
    http::RawRequest,
    schema::assert_valid,
};

const SEND_MAGIC_LINK: &str = "/paths/~1auth~1send-magic-link/post";

fn document() -> Value {
    serde_json::from_str(&with_default_limits()).unwrap()
}

fn with_default_limits() -> String {
    api::document::json(&PublishedLimits::default())
}

/// A value inside the send-magic-link operation, by JSON pointer.
fn at(pointer: &str) -> Value {
    document().pointer(&format!("{SEND_MAGIC_LINK}{pointer}")).cloned().unwrap_or_else(|| panic!("no {pointer}"))
}

/// The schema that a reference points to.
fn resolved(mut schema: Value) -> Value {
    if let Some(only) = schema["allOf"].get(0) {
        schema = only.clone();
    }
    match schema["$ref"].as_str() {
        Some(reference) => document().pointer(&reference[1..]).cloned().unwrap(),
        None => schema,
    }
}

#[test]
fn the_committed_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == with_default_limits(),
        "openapi/openapi.json is out of date. To update it, run:\n\n    \
         cargo run --quiet --bin magic-link-api -- openapi > openapi/openapi.json\n"
    );
}

/// The published reference, transcribed to JSON.
fn published() -> Value {
    serde_json::from_str(include_str!("../fixtures/published.json")).unwrap()
}

#[test]
fn the_operation_matches_the_published_reference() {
    let published = published();
    let (document, operation) = (document(), at(""));
    // The server URL is relative to the document's own URL.
    let server = url::Url::parse("https://example.com/").unwrap().join(document["servers"][0]["url"].as_str().unwrap());
    assert_eq!(json!(server.unwrap().as_str()), published["server"]);
    let path = published["path"].as_str().unwrap();
    assert_eq!(document["paths"][path][published["method"].as_str().unwrap()], operation);
    assert_eq!(operation["summary"], published["summary"]);
    // The published description comes first. Our own, for portal developers, follows.
    let description = operation["description"].as_str().unwrap().replace('\n', " ");
    assert!(description.starts_with(published["description"].as_str().unwrap()), "{description}");
    let body = &operation["requestBody"];
    assert_eq!(body["required"], published["request"]["required"]);
    let media_types: Vec<_> = body["content"].as_object().unwrap().keys().collect();
    assert_eq!(media_types, [published["request"]["media_type"].as_str().unwrap()]);
    assert_eq!(body["content"]["application/json"]["example"], published["request"]["example"]);
    for (status, response) in published["responses"].as_object().unwrap() {
        let ours = &operation["responses"][status];
        assert_eq!(ours["description"], response["description"], "{status}");
        for (name, kind) in response["headers"].as_object().into_iter().flatten() {
            assert_eq!(ours["headers"][name]["schema"]["type"], *kind, "{name}");
        }
    }
}

#[test]
fn every_field_matches_the_published_reference() {
    let published = published();
    let request = resolved(at("/requestBody/content/application~1json/schema"));
    let accepted = resolved(at("/responses/200/content/application~1json/schema"));
    let error = resolved(at("/responses/400/content/application~1json/schema"));
    let issue = resolved(error["properties"]["issues"]["items"].clone());
    assert_eq!(resolved(at("/responses/429/content/application~1json/schema")), error);
    // The last column lists our own fields, which are optional.
    let none: &[&str] = &[];
    for (schema, fields, added) in [
        (&request, &published["request"]["fields"], ["locale", "time_zone"].as_slice()),
        (&accepted, &published["responses"]["200"]["fields"], none),
        (&error, &published["error"], none),
        (&issue, &published["issue"], ["code"].as_slice()),
    ] {
        let fields = fields.as_array().unwrap();
        for field in fields {
            let name = field["name"].as_str().unwrap();
            let ours = resolved(schema["properties"][name].clone());
            assert_eq!(
                json!(schema["required"].as_array().unwrap().contains(&json!(name))),
                field["required"],
                "{name}"
            );
            assert_eq!(ours["type"], field["type"], "{name}");
            assert_eq!(ours["format"], field["format"], "{name}");
            assert_eq!(ours["additionalProperties"]["type"], field["values"], "{name}");
            let description = ours["description"].as_str().unwrap_or_else(|| panic!("{name} is described"));
            let meaning = field["meaning"].as_str().unwrap_or_default();
            assert!(description.to_lowercase().starts_with(meaning), "{name}: {description}");
            assert!(!ours["example"].is_null(), "{name} has an example");
        }
        for name in added {
            assert!(schema["properties"][name].is_object(), "{name} is documented");
            assert!(!schema["required"].as_array().unwrap().contains(&json!(name)), "{name} is optional");
        }
        let count = schema["properties"].as_object().unwrap().len();
        assert_eq!(count, fields.len() + added.len(), "no other field");
    }
    assert!(request["additionalProperties"].is_null(), "unknown fields are ignored");
}

#[test]
fn the_document_has_what_code_generators_need() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.0."));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for pointer in ["/info/contact/name", "/info/license/name", "/info/license/url", "/servers/0/description"] {
        assert!(document.pointer(pointer).is_some_and(Value::is_string), "{pointer}");
    }
    assert_eq!((at("/operationId"), at("/tags")), (json!("sendMagicLink"), json!(["Sign-in"])));
    for tag in document["tags"].as_array().unwrap() {
        assert!(tag["description"].is_string(), "{tag}");
    }
    assert_eq!(at("/parameters/0/name"), "X-AppHandoff-Callback-Origin");
    let schemas: Vec<_> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    for name in ["ApiError", "ErrorCode", "MagicLinkAccepted", "MagicLinkRequest", "ValidationIssue"] {
        assert!(schemas.contains(&name.to_owned()), "{name} is not among {schemas:?}");
    }
    let text = document.to_string();
    assert!(!text.contains("allOf"), "code generators create a second type for allOf");
}

#[test]
fn the_yaml_document_equals_the_json_document() {
    let yaml: Value = serde_yaml::from_str(&api::document::yaml(&PublishedLimits::default())).unwrap();
    assert_eq!(yaml, document());
}

#[tokio::test]
async fn every_accepted_request_matches_the_document() {
    let api = TestApi::start(&[]).await;
    let schema = at("/requestBody/content/application~1json/schema");
    let longest = format!("a@{}.{}.{}.{}", "b".repeat(63), "c".repeat(63), "d".repeat(63), "e".repeat(60));
    assert_eq!(longest.len(), 254);
    for body in [
        json!({ "email": "a@b.c", "callback_origin": PORTAL }),
        json!({ "email": longest, "callback_origin": PORTAL }),
        json!({ "email": "  Ａnn＠example.com ", "callback_origin": format!("{PORTAL}/") }),
        json!({ "email": "\u{feff}info@müller.example\u{200b}", "callback_origin": PORTAL }),
        json!({ "email": "o'hara+tag@example.com", "callback_origin": "HTTPS://Portal.Example.COM:443" }),
        json!({ "email": "1@example.com", "callback_origin": PORTAL, "callback_next": null }),
        json!({ "email": "2@example.com", "callback_origin": PORTAL, "callback_next": "" }),
        json!({ "email": "3@example.com", "callback_origin": PORTAL, "callback_next": "/a?b=[c]#d" }),
        json!({ "email": "4@example.com", "callback_origin": PORTAL, "callback_next": "-a_b~c" }),
        json!({ "email": "7@example.com", "callback_origin": PORTAL, "callback_next": "/files/My%20Report.pdf" }),
        json!({ "email": "5@example.com", "callback_origin": PORTAL, "callback_next": format!("{PORTAL}/a") }),
        json!({ "email": "6@example.com", "callback_origin": PORTAL, "callback_next": "a".repeat(1_023) }),
    ] {
        assert_eq!(api.post(&body).await.status, 200, "{body}");
        assert_valid(&document(), &schema, &body);
    }
    api.expect_open_jobs(12);
}

#[test]
fn all_errors_share_one_schema_and_have_an_example_per_code() {
    let mut codes: Vec<String> = vec![];
    for status in ["400", "405", "413", "415", "429", "500", "503"] {
        assert_eq!(at(&format!("/responses/{status}/headers/X-Request-Id/required")), true, "{status}");
        let content = at(&format!("/responses/{status}/content"));
        assert_eq!(content.as_object().unwrap().len(), 1);
        let content = &content["application/json"];
        assert_eq!(content["schema"], json!({ "$ref": "#/components/schemas/ApiError" }), "{status}");
        for (code, example) in content["examples"].as_object().unwrap() {
            assert_eq!(example["value"]["code"], code.as_str());
            assert_valid(&document(), &content["schema"], &example["value"]);
            codes.push(code.clone());
        }
    }
    let known = document()["components"]["schemas"]["ErrorCode"]["enum"].clone();
    let guide = document()["info"]["description"].as_str().unwrap().to_owned();
    for code in known.as_array().unwrap().iter().filter_map(Value::as_str) {
        assert!(guide.contains(&format!("| `{code}` |")), "the guide says what to do about {code}");
        // Only unknown paths and the webhook respond with these codes.
        let is_elsewhere = ["not_found", "invalid_signature", "event_refused"].contains(&code);
        assert!(is_elsewhere || codes.iter().any(|other| other == code), "{code} has an example");
    }
}

#[test]
fn the_webhook_has_its_own_tag_and_an_example_per_error() {
    let document = document();
    let webhook = document.pointer("/paths/~1webhooks~1mailgun/post").unwrap();
    assert_eq!(webhook["tags"], json!(["Webhooks"]));
    assert_eq!(webhook["operationId"], "receiveMailgunEvent");
    for (status, code) in [("401", "invalid_signature"), ("404", "not_found"), ("406", "event_refused")] {
        let content = &webhook["responses"][status]["content"]["application/json"];
        assert_eq!(content["schema"], json!({ "$ref": "#/components/schemas/ApiError" }), "{status}");
        assert_eq!(content["examples"][code]["value"]["code"], code);
    }
}

#[tokio::test]
async fn every_response_matches_the_document() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "8/1h"), ("RECIPIENT_RATE_LIMIT", "1/1h")]).await;
    let mut served = api.get("/api/openapi.json").await.json();
    // The served guide contains this server's limits, so the descriptions differ.
    served["info"]["description"] = document()["info"]["description"].clone();
    assert_eq!(served, document());
    let next = |next: &str| json!({"email": "hello@example.com", "callback_origin": PORTAL, "callback_next": next});
    let requests = [
        (post(next("/1").to_string()), 200),
        (post(next("/2").to_string()), 429),
        (post("{"), 400),
        (post(r#"{"email":1,"callback_next":"//"}"#), 400),
        (RawRequest::new("PUT", PATH), 405),
        (RawRequest::new("POST", PATH).body("x"), 415),
        (post("x").header("Content-Encoding", "gzip"), 415),
        (post(vec![b' '; 20_000]), 413),
        (post("{}"), 429),
    ];
    for (request, status) in requests {
        let response = request.send(api.public).await;
        assert_eq!(response.status, status);
        let documented = at(&format!("/responses/{status}"));
        assert_valid(&document(), &documented["content"]["application/json"]["schema"], &response.json());
        for name in ["Retry-After", "Allow", "RateLimit", "RateLimit-Policy", "Accept-Encoding", "X-Request-Id"] {
            assert!(response.header(name).is_none() || documented["headers"][name].is_object(), "{status} {name}");
            assert!(
                response.header(name).is_some() || documented["headers"][name]["required"] != true,
                "{status} {name}"
            );
        }
    }
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn the_examples_equal_real_responses() {
    let api = TestApi::start(&[("IP_RATE_LIMIT", "9/1h"), ("RECIPIENT_RATE_LIMIT", "1/1h")]).await;
    let body = |origin: &str, next: &str| json!({"email": "a@b.c", "callback_origin": origin, "callback_next": next});
    let requests = [
        (post(body(PORTAL, "/1").to_string()), None),
        (post(body(PORTAL, "/2").to_string()), Some("recipient_rate_limited")),
        (post("{"), Some("invalid_json")),
        (post(json!({"email": "hello@", "callback_origin": PORTAL}).to_string()), Some("invalid_request")),
        (post(r#"{"email":"a@b.c"}"#), Some("callback_origin_required")),
        (post(body("https://other.example", "").to_string()), Some("callback_origin_not_allowed")),
        (post(body(PORTAL, "//").to_string()), Some("callback_next_unsafe")),
        (RawRequest::new("GET", PATH), Some("method_not_allowed")),
        (post(vec![b' '; 20_000]), Some("payload_too_large")),
        (post("{}"), Some("ip_rate_limited")),
    ];
    for (request, code) in requests {
        let mut response = request.send(api.public).await.json();
        let Some(code) = code else { continue };
        let example = example(code);
        // The value of `retryAfter` depends on the clock.
        if let Some(wait) = response.get_mut("retryAfter") {
            *wait = example["retryAfter"].clone();
        }
        assert_eq!(response, example, "{code}");
    }
    let api = api.restart(&[]).await;
    let response = RawRequest::new("POST", PATH).send(api.public).await;
    assert_eq!(response.json(), example("unsupported_media_type"));
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn the_guide_shows_the_limits_of_the_server() {
    let table = |document: &Value| {
        let guide = document["info"]["description"].as_str().unwrap();
        guide.lines().skip_while(|line| *line != "| limit | on this server |").take(8).collect::<Vec<_>>().join("\n")
    };
    let default = table(&document());
    for row in [
        "| Requests from one network | 30 per minute |",
        "| Requests for one address from all networks | 10 per 15 minutes and 30 per day |",
        "| Requests for one address from one network | 3 per 15 minutes and 10 per day |",
        "| A repeat of the same request counts as a double click within | 10 seconds |",
        "| A mail that could not be sent expires after | 15 minutes |",
        "| A link works for | 1 hour |",
    ] {
        assert!(default.contains(row), "{default}");
    }
    let api = TestApi::start(&[
        ("IP_RATE_LIMIT", "7/2m"),
        ("RECIPIENT_RATE_LIMIT", "5/1h"),
        ("RECIPIENT_CLIENT_RATE_LIMIT", "2/1h,4/1d"),
        ("DUPLICATE_WINDOW", "1s"),
        ("JOB_DEADLINE", "90s"),
        ("LINK_LIFETIME", "2h"),
    ])
    .await;
    let set = table(&api.get("/api/openapi.json").await.json());
    assert_eq!(
        set.lines().skip(2).collect::<Vec<_>>(),
        [
            "| Requests from one network | 7 per 2 minutes |",
            "| Requests for one address from all networks | 5 per hour |",
            "| Requests for one address from one network | 2 per hour and 4 per day |",
            "| A repeat of the same request counts as a double click within | 1 second |",
            "| A mail that could not be sent expires after | 90 seconds |",
            "| A link works for | 2 hours |",
        ]
    );
}

/// The example of a response with this error code, whatever its status.
fn example(code: &str) -> Value {
    let responses = at("/responses");
    let mut examples = responses.as_object().unwrap().values().map(|response| &response["content"]["application/json"]);
    examples.find_map(|content| content["examples"].get(code)).unwrap_or_else(|| panic!("no {code}"))["value"].clone()
}
