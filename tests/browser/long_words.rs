//! Long words and long host names in a mail are broken across lines, so that the mail fits on a small phone.

use std::time::Duration;

use serde_json::json;
use tests::TestSystem;

use crate::{
    chromium::browse,
    looks::{ALL_LOOKS, NARROW},
    pictures::show_mail,
    plan_with_code,
};

/// The messages that are replaced with a long word. None of them takes an argument.
const MESSAGES: [&str; 7] = [
    "mail-button",
    "mail-newest-link",
    "mail-newest-code",
    "mail-button-fails",
    "mail-ignore-link",
    "mail-ignore-link-and-code",
    "mail-ignore-code",
];

/// A German word of 63 letters, longer than a line on a phone.
const LONG_WORD: &str = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz";

/// A host name of 60 characters, with one long label.
const LONG_HOST: &str = "kundenportalderoberlandesgerichtsverwaltung.example-stadt.de";

#[tokio::test]
async fn a_mail_with_long_words_and_a_long_host_fits_on_a_small_phone() {
    assert!(LONG_WORD.chars().count() >= 60 && LONG_HOST.len() == 60);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("de")).unwrap();
    let words: String = MESSAGES.iter().map(|id| format!("{id} = {LONG_WORD}\n")).collect();
    std::fs::write(folder.path().join("de/words.ftl"), words).unwrap();
    let origin = format!("https://{LONG_HOST}");
    browse(|browser| async move {
        for link_style in ["confirm", "code"] {
            let plan = plan_with_code(link_style)
                .api("LANGUAGES", "en,de")
                .api("CALLBACK_ORIGINS", &origin)
                .worker("MAIL_TEMPLATES", folder.path().to_str().unwrap());
            let system = TestSystem::with(plan).await;
            system.supabase.set_allow_list(&[&format!("{origin}/**")]);
            let body = json!({ "email": "ada@example.com", "callback_origin": origin, "locale": "de" });
            assert_eq!(system.post(&body).await.status, 200);
            let html = system.mailgun.wait_for_mail("ada@example.com", Duration::from_secs(10)).await.unwrap().html;
            assert!(html.contains(LONG_WORD) && html.contains(LONG_HOST), "{html}");
            for look in ALL_LOOKS.into_iter().filter(|look| look.width == NARROW.width) {
                show_mail(&browser, &html, look).await;
                browser.assert_fits(&format!("long words, LINK_STYLE={link_style}, {}", look.name)).await;
            }
            system.finish_with_any_jobs();
        }
    })
    .await;
}
