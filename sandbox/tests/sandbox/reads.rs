//! Tests of Mailgun's read endpoints in the stand-in: events, logs, suppression lists, and the domain's settings.

use crate::{
    mailgun::{mail, mailgun, send},
    receiver::Receiver,
};
use reqwest::RequestBuilder;
use sandbox::{Mailgun, MailgunSettings, SuppressionList, client};
use serde_json::{Value, json};
use std::time::Duration;

/// Starts a stand-in that does not post its webhooks, and sends a mail to each address.
async fn mailed(addresses: &[&str]) -> (Mailgun, Receiver) {
    let (mailgun, receiver) = (mailgun().await, Receiver::start().await);
    mailgun.set_webhook(receiver.url(), "key");
    mailgun.set_webhook_delay(Duration::ZERO);
    mailgun.drop_webhooks(true);
    for (number, address) in addresses.iter().enumerate() {
        let id = format!("<{number}@mg.example.com>");
        send(&mailgun, &mail(&[("to", address), ("h:Message-Id", &id)])).await.unwrap();
        mailgun.wait_for_webhooks(2 * (number + 1)).await.unwrap();
    }
    (mailgun, receiver)
}

async fn ask(request: RequestBuilder, key: &str) -> (u16, Value) {
    let answer = request.basic_auth("api", Some(key)).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

async fn get(url: &str) -> (u16, Value) {
    ask(client().unwrap().get(url), &MailgunSettings::default().events_key).await
}

fn kinds(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn events_can_be_filtered_by_mail_and_paged() {
    let (mailgun, receiver) = mailed(&["ada@example.com", "bounce@example.com"]).await;
    let events = format!("{}/v3/mg.example.com/events", mailgun.url());
    let (status, all) = get(&events).await;
    assert_eq!((status, kinds(&all)), (200, vec!["accepted", "delivered", "accepted", "failed"]));
    assert_eq!(all["items"][0]["id"], mailgun.webhooks()[0].id, "both lists have the same ids");
    assert!(receiver.bodies().is_empty());

    let (_, page) = get(&format!("{events}?message-id=1@mg.example.com&limit=1")).await;
    assert_eq!(kinds(&page), ["accepted"]);
    let (_, page) = get(page["paging"]["next"].as_str().unwrap()).await;
    assert_eq!(kinds(&page), ["failed"]);
    let (_, page) = get(page["paging"]["next"].as_str().unwrap()).await;
    assert_eq!(kinds(&page), Vec::<&str>::new(), "the page after the last event is empty");

    assert_eq!(get(&format!("{events}?limit=301")).await.0, 400);
    mailgun.lag(true);
    assert_eq!(kinds(&get(&events).await.1), Vec::<&str>::new());
    assert_eq!(mailgun.reads().len(), 6);
}

#[tokio::test]
async fn logs_are_filtered_by_attributes_and_paged_by_tokens() {
    let (mailgun, _receiver) = mailed(&["ada@example.com", "bob@example.com"]).await;
    let logs = async |token: &str| {
        let equals = |attribute: &str, value: &str| json!({"attribute": attribute, "comparator": "=", "values": [{"label": value, "value": value}]});
        let question = json!({
            "start": "Fri, 18 Sep 2026 11:00:00 -0000", "end": "Fri, 18 Sep 2026 12:00:00 -0000",
            "filter": {"AND": [equals("domain", "mg.example.com"), equals("message-id", "1@mg.example.com")]},
            "pagination": {"limit": 1, "token": token},
        });
        let request = client().unwrap().post(format!("{}/v1/analytics/logs", mailgun.url())).json(&question);
        ask(request, &MailgunSettings::default().events_key).await
    };
    let (status, first) = logs("").await;
    assert_eq!((status, kinds(&first), &first["pagination"]["total"]), (200, vec!["accepted"], &json!(2)));
    let (_, second) = logs(first["pagination"]["next"].as_str().unwrap()).await;
    assert_eq!(kinds(&second), ["delivered"]);
    let (_, third) = logs(second["pagination"]["next"].as_str().unwrap()).await;
    assert_eq!((kinds(&third), &third["pagination"]["next"]), (vec![], &json!("")));
    assert_eq!(logs("made-up").await.0, 400);
}

#[tokio::test]
async fn an_address_that_bounced_is_suppressed_until_it_is_removed_from_the_list() {
    let (mailgun, _receiver) = mailed(&["bounce@example.com", "bounce@example.com"]).await;
    let reasons = |mailgun: &Mailgun| -> Vec<String> {
        let events = mailgun.webhooks();
        events.iter().filter_map(|e| e.event_data()["reason"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(reasons(&mailgun), ["bounce", "suppress-bounce"]);
    let entry = format!("{}/v3/mg.example.com/bounces/bounce@example.com", mailgun.url());
    assert_eq!(get(&entry).await.0, 200);
    let key = MailgunSettings::default().events_key;
    assert_eq!(ask(client().unwrap().delete(&entry), &key).await.0, 200);
    let (status, body) = get(&entry).await;
    assert_eq!((status, &body["message"]), (404, &json!("Address not found in bounces table")));
    send(&mailgun, &mail(&[("to", "bounce@example.com")])).await.unwrap();
    mailgun.wait_for_webhooks(6).await.unwrap();
    assert_eq!(reasons(&mailgun)[2..], ["bounce"]);

    mailgun.suppress(SuppressionList::Unsubscribes, "Ada@example.com");
    send(&mailgun, &mail(&[("to", "ada@example.com")])).await.unwrap();
    mailgun.wait_for_webhooks(8).await.unwrap();
    assert_eq!(reasons(&mailgun)[3..], ["suppress-unsubscribe"]);
}

#[tokio::test]
async fn a_sending_key_cannot_use_the_read_endpoints() {
    let (mailgun, _receiver) = mailed(&["ada@example.com"]).await;
    for path in ["v3/mg.example.com/events", "v3/mg.example.com/bounces/ada@example.com"] {
        let url = format!("{}/{path}", mailgun.url());
        assert_eq!(ask(client().unwrap().get(&url), &MailgunSettings::default().api_key).await.0, 401);
        assert_eq!(get(&url.replace("mg.example.com", "other.example")).await.0, 404);
    }
}

#[tokio::test]
async fn the_domain_and_its_webhooks_can_be_read() {
    let mailgun = mailgun().await;
    let domain = format!("{}/v4/domains/mg.example.com", mailgun.url());
    let webhooks = format!("{}/v3/domains/mg.example.com/webhooks", mailgun.url());
    assert_eq!(get(&webhooks).await, (200, json!({"webhooks": {}})));
    mailgun.set_webhook("https://login.example.com/api/webhooks/mailgun", "key");
    let (_, listed) = get(&webhooks).await;
    assert_eq!(listed["webhooks"]["delivered"]["urls"], json!(["https://login.example.com/api/webhooks/mailgun"]));
    assert_eq!(get(&domain).await.1["domain"]["state"], "active");
    mailgun.set_domain_state("unverified");
    let (status, shown) = get(&domain).await;
    assert_eq!((status, &shown["domain"]["state"]), (200, &json!("unverified")));
    assert_eq!(shown["sending_dns_records"][1]["name"], "mailo._domainkey.mg.example.com");
    assert_eq!(get(&format!("{}/v4/domains/other.example.com", mailgun.url())).await.0, 404);
    let sending_key = MailgunSettings::default().api_key;
    for url in [&domain, &webhooks] {
        assert_eq!(ask(client().unwrap().get(url), &sending_key).await.0, 401);
    }
}
