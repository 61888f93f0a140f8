//! Scans of a mail from the mailbox page, without scripts: which URLs are opened, and what the page then shows about
//! the link.

use crate::mailgun::{mail, mailgun, send};
use sandbox::{Mailgun, SupabaseAuth, SupabaseSettings, client};
use serde_json::json;

const ADA: &str = "ada@example.com";

/// Starts both stand-ins, connected so that the mailbox page can show whether a link still works.
async fn both() -> (Mailgun, SupabaseAuth) {
    let supabase = SupabaseAuth::start(SupabaseSettings::default()).await.unwrap();
    let mailgun = mailgun().await;
    mailgun.set_link_tokens(supabase.link_tokens());
    (mailgun, supabase)
}

/// Makes a link whose callback is not on this machine, so that the stand-in shows its own page.
async fn make_link(supabase: &SupabaseAuth) -> String {
    let key = "sandbox-service-role-key";
    let url = format!("{}/auth/v1/admin/generate_link", supabase.url());
    let body = json!({"type": "magiclink", "email": ADA, "redirect_to": "https://example.com/auth/callback?next=%2F"});
    let request = client().unwrap().post(url).bearer_auth(key).header("apikey", key).json(&body);
    let link: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    link["action_link"].as_str().unwrap().to_owned()
}

/// Presses a mail's scan button, and returns the HTTP status.
async fn press(mailgun: &Mailgun, number: usize, headers: &[(&str, &str)]) -> u16 {
    let mut request = client().unwrap().post(format!("{}/scan", mailgun.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(format!("mail={number}"));
    request.send().await.unwrap().status().as_u16()
}

/// Scans the first mail, and returns what the page shows about it.
async fn scan(mailgun: &Mailgun) -> String {
    assert_eq!(press(mailgun, 0, &[]).await, 303);
    let page = client().unwrap().get(mailgun.url()).send().await.unwrap().text().await.unwrap();
    let rest = page.split_once("id=\"scan-0\">").unwrap().1;
    rest.split_once("</div>").unwrap().0.to_owned()
}

#[tokio::test]
async fn a_scan_opens_the_link_three_times_and_reports_that_the_link_was_used_up() {
    let (mailgun, supabase) = both().await;
    let link = make_link(&supabase).await;
    send(&mailgun, &mail(&[("text", &format!("Sign in:\n\n{link}\n"))])).await.unwrap();
    let shown = scan(&mailgun).await;
    for part in [
        "The scanner used up the link: a person who opens it now gets <code>otp_expired</code>.",
        "<dd>HEAD: 405 (3 times)</dd><dd>GET: 200, then 403</dd>",
        "not visited with scripts on, because this page's own script did not run",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert_eq!(supabase.verify_journal().len(), 3);
    assert!(scan(&mailgun).await.contains("The link did not work even before the scan."));
}

#[tokio::test]
async fn a_scan_opens_nothing_outside_this_machine() {
    let (mailgun, supabase) = both().await;
    send(&mailgun, &mail(&[])).await.unwrap();
    let shown = scan(&mailgun).await;
    assert!(shown.contains("Nothing was opened"), "{shown}");
    let entry = "<dt>https://portal.example.com/x?a=1&amp;b=2</dt><dd>not fetched: not on this machine</dd>";
    assert!(shown.contains(entry), "{shown}");

    // Redirects to other machines are not followed either. For a made-up token, the stand-in redirects to the callback.
    let query = "token=x&type=email&redirect_to=https://example.com/auth/callback";
    let link = format!("{}/auth/v1/verify?{query}", supabase.url());
    let mailgun = self::mailgun().await;
    send(&mailgun, &mail(&[("text", &link)])).await.unwrap();
    let shown = scan(&mailgun).await;
    assert!(shown.contains("<dd>GET: 303 → not fetched: not on this machine (3 times)</dd>"), "{shown}");
}

#[tokio::test]
async fn a_mailbox_without_a_connected_supabase_shows_only_what_was_opened() {
    let (mailgun, supabase) = (mailgun().await, SupabaseAuth::start(SupabaseSettings::default()).await.unwrap());
    let link = make_link(&supabase).await;
    // The link is escaped in the HTML. The URL in the text gets no response, because no HTTP server listens on port 9.
    let html = format!("<a href=\"{}\">Sign in</a>", link.replace('&', "&amp;"));
    send(&mailgun, &mail(&[("text", "See http://127.0.0.1:9/"), ("html", &html)])).await.unwrap();
    let shown = scan(&mailgun).await;
    assert!(!shown.contains("<strong"), "{shown}");
    assert!(shown.contains("<dt>http://127.0.0.1:9/</dt><dd>HEAD: no response (3 times)</dd>"), "{shown}");
    let opened = supabase.verify_journal();
    assert_eq!(opened.len(), 3);
    assert!(opened.iter().all(|call| call.unknown_token.is_none() && call.kind == "signup"), "{opened:?}");
}

#[tokio::test]
async fn a_scan_is_refused_from_another_origin_and_for_a_mail_that_does_not_exist() {
    let (mailgun, supabase) = both().await;
    let link = make_link(&supabase).await;
    send(&mailgun, &mail(&[("text", &link)])).await.unwrap();
    assert_eq!(press(&mailgun, 0, &[("origin", "https://evil.example")]).await, 403);
    assert_eq!(press(&mailgun, 0, &[("host", "rebound.example")]).await, 403);
    assert_eq!(press(&mailgun, 1, &[]).await, 400);
    assert_eq!(supabase.verify_journal(), []);
}
