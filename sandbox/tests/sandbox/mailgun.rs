//! Tests of the stand-in for Mailgun: what it accepts from the official clients, and what it rejects.

use sandbox::{Mailgun, MailgunSettings, client};
use serde_json::Value;
use std::time::Duration;

const CLIENTS: &str = include_str!("../fixtures/mailgun-clients.json");
type Fields = Vec<(String, String)>;

pub(crate) async fn mailgun() -> Mailgun {
    Mailgun::start(MailgunSettings::default()).await.unwrap()
}

pub(crate) fn mail(changes: &[(&str, &str)]) -> Fields {
    let mut fields: Fields = [
        ("from", "Portal <sign-in@mg.example.com>"),
        ("to", "ada@example.com"),
        ("subject", "Sign in"),
        ("text", "Open https://portal.example.com/x?a=1&b=2 to sign in"),
    ]
    .iter()
    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
    .collect();
    for (name, value) in changes {
        fields.retain(|(field, _)| field != name);
        if !value.is_empty() {
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    fields
}

pub(crate) async fn send(mailgun: &Mailgun, fields: &Fields) -> reqwest::Result<(u16, Value)> {
    let url = format!("{}/v3/mg.example.com/messages", mailgun.url());
    let request = client()?.post(url).basic_auth("api", Some("key-sandbox"));
    answer(request.multipart(multipart(fields))).await
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<(u16, Value)> {
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok((status, body))
}

fn multipart(fields: &Fields) -> reqwest::multipart::Form {
    let form = reqwest::multipart::Form::new();
    fields.iter().cloned().fold(form, |form, (name, value)| form.text(name, value))
}

fn urlencoded(fields: &Fields) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[tokio::test]
async fn mails_from_the_official_clients_are_accepted_in_both_encodings() {
    let clients: Vec<Value> = serde_json::from_str(CLIENTS).unwrap();
    assert!(clients.len() >= 5);
    for sender in &clients {
        let fields: Fields = serde_json::from_value(sender["fields"].clone()).unwrap();
        let settings = MailgunSettings { domain: "ok.example".into(), ..MailgunSettings::default() };
        let mailgun = Mailgun::start(settings).await.unwrap();
        let url = format!("{}/v3/ok.example/messages", mailgun.url());
        let post = || client().unwrap().post(&url).basic_auth("api", Some("key-sandbox"));
        let form = post().header("content-type", "application/x-www-form-urlencoded").body(urlencoded(&fields));
        for request in [post().multipart(multipart(&fields)), form] {
            let (status, body) = answer(request).await.unwrap();
            assert_eq!(status, 200, "{sender}: {body}");
            assert_eq!(body["message"], "Queued. Thank you.");
        }
        let [first, second] = mailgun.mails().try_into().unwrap();
        assert_eq!(first.to, ["ann@example.org"]);
        assert_eq!((&first.text, &first.html), (&second.text, &second.html));
        assert_eq!((&first.options, &first.headers), (&second.options, &second.headers));
        assert_eq!(mailgun.journal()[0].fields, fields, "{sender}");
    }
}

#[tokio::test]
async fn the_stand_in_rejects_mails_that_mailgun_rejects() {
    let mailgun = mailgun().await;
    let long = "x".repeat(17 * 1024);
    let crowd = vec!["a@b.example"; 1001].join(",");
    let invalid_to = "to parameter is not a valid address. please check documentation";
    let invalid_from = "from parameter is not a valid address. please check documentation";
    for (changes, message) in [
        ([("to", "")], "to parameter is missing"),
        ([("to", "ada")], invalid_to),
        ([("to", "ada@example.com,,b@c.example")], invalid_to),
        ([("to", &*crowd)], "to parameter has more than 1000 recipients"),
        ([("from", "")], "from parameter is missing"),
        ([("from", "Portal")], invalid_from),
        ([("subject", "")], "subject parameter is missing"),
        ([("text", "")], "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified."),
        ([("v:job_id", &*long)], "total size of o:, h:, v: and t: parameters exceeds 16 kB limit"),
        ([("o:deliver-within", "90")], "o:deliver-within parameter must be [h]h[m]m, from 5m to 24h"),
    ] {
        let (status, body) = send(&mailgun, &mail(&changes)).await.unwrap();
        assert_eq!((status, body["message"].as_str()), (400, Some(message)));
    }
    assert!(mailgun.mails().is_empty());
    assert!(mailgun.journal().iter().all(|call| call.carried_out == Some(400)));
}

#[tokio::test]
async fn a_wrong_key_is_forbidden_and_a_wrong_domain_is_not_found() {
    let mailgun = mailgun().await;
    let fields = mail(&[]);
    for (domain, user, key, status, expected) in [
        ("mg.example.com", "api", "wrong", 401, "\"Forbidden\""),
        ("mg.example.com", "me", "key-sandbox", 401, "\"Forbidden\""),
        ("other.example", "api", "key-sandbox", 404, "{\"message\":\"Domain not found: other.example\"}"),
    ] {
        let url = format!("{}/v3/{domain}/messages", mailgun.url());
        let request = client().unwrap().post(url).basic_auth(user, Some(key));
        let (got, body) = answer(request.multipart(multipart(&fields))).await.unwrap();
        assert_eq!((got, &*body.to_string()), (status, expected));
    }
}

#[tokio::test]
async fn a_mail_keeps_all_fields_and_its_message_id() {
    let mailgun = mailgun().await;
    let id = "<job-1@mg.example.com>";
    let changes = [
        ("to", "Ada <ada@example.com>, bob@example.com"),
        ("h:Message-Id", id),
        ("o:deliver-within", "1h30m"),
        ("o:tag", "sign-in"),
        ("v:job_id", "1"),
    ];
    let (_, body) = send(&mailgun, &mail(&changes)).await.unwrap();
    assert_eq!(body["id"], id);

    let mail = mailgun.wait_for_mail("ADA@example.com", Duration::from_secs(5)).await.unwrap();
    assert_eq!(mail.to, ["Ada <ada@example.com>", "bob@example.com"]);
    assert_eq!(mail.message_id, id);
    assert_eq!(mail.header("message-id"), Some(id));
    assert_eq!(mail.option("deliver-within"), Some("1h30m"));
    assert_eq!(mail.variable("job_id"), Some("1"));
    assert_eq!(mail.link(), Some("https://portal.example.com/x?a=1&b=2"));
    assert_eq!(mailgun.mails_to("bob@example.com").len(), 1);
}

#[tokio::test]
async fn a_timeout_error_shows_the_expected_mail_and_the_mails_that_arrived() {
    let mailgun = mailgun().await;
    send(&mailgun, &mail(&[])).await.unwrap();
    let timeout = Duration::from_millis(1);
    let error = mailgun.wait_for_mail("eve@example.com", timeout).await.unwrap_err();
    assert!(error.to_string().contains("a mail to eve@example.com"), "{error}");
    assert!(error.to_string().contains("ada@example.com"), "{error}");
}
