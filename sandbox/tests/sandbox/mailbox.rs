//! Tests of the mailbox page without its scripts.

use crate::mailgun::{mail, mailgun, send};
use futures_util::StreamExt;
use sandbox::{Fault, Mailgun, MailgunSettings, OpenJob, OpenJobs, SupabaseAuth, SupabaseSettings, client};
use tokio::sync::watch;

async fn page(mailgun: &Mailgun) -> String {
    let answer = client().unwrap().get(mailgun.url()).send().await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test]
async fn an_empty_mailbox_shows_the_command_that_sends_a_mail() {
    let settings = MailgunSettings { hint: Some("curl -d '{\"email\":\"a&b\"}'".into()), ..MailgunSettings::default() };
    let mailgun = Mailgun::start(settings).await.unwrap();
    let page = page(&mailgun).await;
    assert!(page.contains("curl -d &#39;{&quot;email&quot;:&quot;a&amp;b&quot;}&#39;"), "{page}");
}

#[tokio::test]
async fn the_newest_mail_comes_first_with_its_link() {
    let mailgun = mailgun().await;
    send(&mailgun, &mail(&[])).await.unwrap();
    send(&mailgun, &mail(&[("to", "bob@example.com")])).await.unwrap();
    let page = page(&mailgun).await;
    let place = |text: &str| page.find(text).unwrap();
    assert!(place("<strong>bob@example.com</strong>") < place("<strong>ada@example.com</strong>"));
    assert!(page.contains("href=\"https://portal.example.com/x?a=1&amp;b=2\""));
    assert!(page.contains("<noscript><meta http-equiv=\"refresh\""));
}

#[tokio::test]
async fn all_content_of_a_mail_is_escaped() {
    let mailgun = mailgun().await;
    let evil = "</h2><script>alert(1)</script>{{faults}}\" onload='x'";
    let changes = [
        ("subject", evil),
        ("text", evil),
        ("html", evil),
        ("from", "\"<script>\" <a@b.example>"),
        ("v:job_id", evil),
        ("h:X-Evil", evil),
        ("o:tag", evil),
    ];
    assert_eq!(send(&mailgun, &mail(&changes)).await.unwrap().0, 200);
    let page = page(&mailgun).await;
    assert!(!page.contains("<script>"), "{page}");
    assert!(!page.contains("onload='x'"));
    assert!(page.contains("&lt;/h2&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{faults}}&quot;"));
}

#[tokio::test]
async fn a_picture_in_the_mail_is_kept_and_shown() {
    let mailgun = mailgun().await;
    let url = format!("{}/v3/mg.example.com/messages", mailgun.url());
    let picture = reqwest::multipart::Part::bytes(&b"GIF89a"[..]).file_name("logo.gif").mime_str("image/gif").unwrap();
    let html = "<img src=\"cid:logo.gif\"><img src=\"cid:other.gif\">";
    let form = mail(&[("html", html)])
        .into_iter()
        .fold(reqwest::multipart::Form::new(), |form, (name, value)| form.text(name, value));
    let request = client().unwrap().post(url).basic_auth("api", Some("key-sandbox"));
    let answer = request.multipart(form.part("inline", picture)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mail = mailgun.mails().remove(0);
    let part = &mail.inline[0];
    assert_eq!(
        (part.file_name.as_str(), part.content_type.as_str(), &part.bytes[..]),
        ("logo.gif", "image/gif", &b"GIF89a"[..])
    );
    assert_eq!(mail.html, html);
    let page = page(&mailgun).await;
    assert!(
        page.contains("src=&quot;data:image/gif;base64,R0lGODlh&quot;") && page.contains("cid:other.gif"),
        "{page}"
    );
}

#[tokio::test]
async fn buttons_add_faults_to_either_stand_in_and_reset_removes_them() {
    let supabase = SupabaseAuth::start(SupabaseSettings::default()).await.unwrap();
    let settings = MailgunSettings { supabase_faults: Some(supabase.faults().clone()), ..MailgunSettings::default() };
    let mailgun = Mailgun::start(settings).await.unwrap();
    let press = |fields: &'static str| {
        let request = client().unwrap().post(format!("{}/faults", mailgun.url()));
        request.header("content-type", "application/x-www-form-urlencoded").body(fields)
    };
    for button in ["target=supabase&fault=500x3", "target=mailgun&fault=hang"] {
        assert_eq!(press(button).send().await.unwrap().status(), 303);
    }
    assert!(page(&mailgun).await.contains("500 3 times"));
    assert_eq!((supabase.faults().list().len(), mailgun.faults().list().len()), (1, 1));
    press("target=mailgun&fault=clear").send().await.unwrap();
    assert!(mailgun.faults().list().is_empty());

    let foreign = press("target=mailgun&fault=always").header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    assert_eq!(press("target=mailgun&fault=none").send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_request_with_another_host_is_forbidden() {
    let mailgun = mailgun().await;
    let request = client().unwrap().get(mailgun.url()).header("host", "rebound.example");
    assert_eq!(request.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn an_open_page_gets_an_event_for_a_new_mail() {
    let mailgun = mailgun().await;
    let url = format!("{}/events", mailgun.url());
    let mut events = client().unwrap().get(url).send().await.unwrap().bytes_stream();
    send(&mailgun, &mail(&[])).await.unwrap();
    let event = events.next().await.unwrap().unwrap();
    assert!(event.starts_with(b"data: changed"), "{event:?}");
}

#[tokio::test]
async fn a_stand_in_is_shown_as_broken_until_a_call_succeeds() {
    let mailgun = mailgun().await;
    let state = async || {
        let page = page(&mailgun).await;
        let state = page.split_once("id=\"state-mailgun\">").unwrap().1.split('<').next().unwrap().to_owned();
        (state, page.contains("<details class=\"panel\" open>"))
    };
    assert_eq!(state().await, ("works".to_owned(), false));
    mailgun.faults().add(Fault::status(500).times(2));
    assert_eq!(state().await, ("500 2 times".to_owned(), true));
    for _ in 0..2 {
        assert_eq!(send(&mailgun, &mail(&[])).await.unwrap().0, 500);
    }
    assert_eq!(state().await, ("failed: 500".to_owned(), true));
    assert_eq!(send(&mailgun, &mail(&[])).await.unwrap().0, 200);
    assert_eq!(state().await, ("works".to_owned(), false));
}

#[tokio::test]
async fn jobs_whose_mail_has_not_been_sent_are_listed_with_the_reason() {
    let job = |state: &str, reason: Option<&str>| OpenJob {
        recipient: format!("{state}@example.com"),
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        next_try: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    let (sender, receiver) = watch::channel(OpenJobs::default());
    let settings = MailgunSettings { jobs: Some(receiver), ..MailgunSettings::default() };
    let mailgun = Mailgun::start(settings).await.unwrap();
    assert!(!page(&mailgun).await.contains("Not mailed yet"));
    let mut events = client().unwrap().get(format!("{}/events", mailgun.url())).send().await.unwrap().bytes_stream();

    sender.send_replace(OpenJobs {
        jobs: vec![job("retrying", Some("Mailgun answered <500>.")), job("queued", None), job("expired", None)],
        stops: vec!["The key is refused.".to_owned()],
    });
    events.next().await.unwrap().unwrap();
    let page = page(&mailgun).await;
    for part in [
        "<strong>retrying@example.com</strong> <span class=\"waits\">waiting, next attempt in <time \
         class=\"countdown\" datetime=\"2026-01-02T03:04:05.000Z\">(at 03:04:05 UTC)</time>: Mailgun answered \
         &lt;500&gt;.</span>",
        "<strong>queued@example.com</strong> <span class=\"waits\">waiting</span>",
        "<strong>expired@example.com</strong> <span class=\"bad\">expired before it was sent</span>",
        "Mail is stopped: The key is refused.",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}
