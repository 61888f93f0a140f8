//! The OpenAPI document: the published reference to the letter, what the program really answers, and the copy
//! that the repository keeps.

use serde_json::{Value, json};

use crate::{
    harness::{Door, PATH, PORTAL, post},
    http::Request,
    schema::assert_valid,
};

const OPERATION: &str = "/paths/~1auth~1send-magic-link/post";

fn document() -> Value {
    serde_json::from_str(&api::document::json()).unwrap()
}

fn at(place: &str) -> Value {
    document().pointer(&format!("{OPERATION}{place}")).cloned().unwrap_or_else(|| panic!("no {place}"))
}

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
fn the_committed_document_is_the_programs_own() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == api::document::json(),
        "openapi/openapi.json is out of date. To mend it, run:\n\n    \
         cargo run --quiet --bin magic-link-api -- openapi > openapi/openapi.json\n"
    );
}

#[test]
fn the_operation_is_the_published_one() {
    assert_eq!(at("/summary"), "Send passwordless magic link");
    assert_eq!(at("/operationId"), "sendMagicLink");
    assert_eq!(
        at("/description").as_str().unwrap().replace('\n', " "),
        "Admin generateLink (magiclink) + Mailgun. IP rate limited. Callback URL from body callback_origin, \
         X-AppHandoff-Callback-Origin, Origin, or Referer (allowlisted). Optional callback_next preserves a safe \
         in-portal destination after the email link completes."
    );
    assert_eq!(document()["servers"], json!([{ "url": "/api" }]));
    assert!(document()["openapi"].as_str().unwrap().starts_with("3.0."));
    assert_eq!(at("/requestBody/required"), true);
    assert_eq!(at("/parameters/0/name"), "X-AppHandoff-Callback-Origin");
    for (status, description) in [(200, "Magic link sent"), (400, "Invalid request"), (429, "Rate limited")] {
        assert_eq!(at(&format!("/responses/{status}/description")), description);
    }
    assert_eq!(at("/responses/429/headers/Retry-After/schema/type"), "string");
}

#[test]
fn every_field_is_as_published() {
    let request = resolved(at("/requestBody/content/application~1json/schema"));
    let accepted = resolved(at("/responses/200/content/application~1json/schema"));
    let error = resolved(at("/responses/400/content/application~1json/schema"));
    let issue = resolved(error["properties"]["issues"]["items"].clone());
    let fields = [
        // Schema, field, required, type, format.
        (&request, "email", true, "string", Some("email")),
        (&request, "callback_origin", false, "string", Some("uri")),
        (&request, "callback_next", false, "string", None),
        (&accepted, "ok", true, "boolean", None),
        (&error, "error", true, "string", None),
        (&error, "code", false, "string", None),
        (&error, "fieldErrors", false, "object", None),
        (&error, "issues", false, "array", None),
        (&error, "retryAfter", false, "number", None),
        (&issue, "path", true, "string", None),
        (&issue, "message", true, "string", None),
    ];
    for (schema, field, required, kind, format) in fields {
        let property = &schema["properties"][field];
        assert_eq!(schema["required"].as_array().unwrap().contains(&json!(field)), required, "{field}");
        assert_eq!(resolved(property.clone())["type"], kind, "{field}");
        assert_eq!(property["format"].as_str(), format, "{field}");
        assert!(property["description"].is_string(), "{field} is described");
        assert!(
            !property["example"].is_null() || !resolved(property.clone())["example"].is_null(),
            "{field} has an example"
        );
    }
    let counts = [&request, &accepted, &error, &issue].map(|schema| schema["properties"].as_object().unwrap().len());
    assert_eq!(fields.len(), counts.iter().sum::<usize>(), "no field besides");
    assert_eq!(error["properties"]["fieldErrors"]["additionalProperties"]["type"], "string");
    assert!(request["additionalProperties"].is_null(), "unknown fields are ignored");
}

#[test]
fn all_refusals_share_one_schema_and_have_an_example_per_code() {
    let mut codes: Vec<String> = vec![];
    for status in ["400", "405", "413", "415", "429", "500", "503"] {
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
        // Answers of an unknown path, and of the webhook.
        let elsewhere = ["not_found", "invalid_signature", "event_refused"].contains(&code);
        assert!(elsewhere || codes.iter().any(|other| other == code), "{code} has an example");
    }
}

#[test]
fn the_webhook_stands_under_its_own_tag_with_an_example_per_refusal() {
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
async fn what_is_answered_is_what_the_document_says() {
    let door = Door::open(&[("IP_RATE_LIMIT", "7/1h"), ("RECIPIENT_RATE_LIMIT", "1/1h")]).await;
    let served = door.get("/api/openapi.json").await;
    assert_eq!(served.json(), document());
    let next = |next: &str| json!({"email": "hello@example.com", "callback_origin": PORTAL, "callback_next": next});
    let requests = [
        (post(next("/1").to_string()), 200),
        (post(next("/2").to_string()), 429),
        (post("{"), 400),
        (post(r#"{"email":1,"callback_next":"//"}"#), 400),
        (Request::new("PUT", PATH), 405),
        (Request::new("POST", PATH).body("x"), 415),
        (post(vec![b' '; 20_000]), 413),
        (post("{}"), 429),
    ];
    for (request, status) in requests {
        let answer = request.send(door.public).await;
        assert_eq!(answer.status, status);
        let response = at(&format!("/responses/{status}"));
        assert_valid(&document(), &response["content"]["application/json"]["schema"], &answer.json());
        for name in ["Retry-After", "Allow", "RateLimit", "RateLimit-Policy"] {
            assert!(answer.header(name).is_none() || response["headers"][name].is_object(), "{status} {name}");
        }
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let door = Door::open(&[]).await;
    let answer = door.get("/api/docs").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("What happens after the 200") && page.contains("sendMagicLink"));
    for foreign in ["<script src", "<link ", "@import", "url(http", "<iframe src=\"http"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}
