//! The mail uses the language and the time zone of the request. The page that the mail's link opens uses the same
//! language.

use serde_json::json;
use tests::{Plan, TestSystem, get_at};

#[tokio::test]
async fn the_mail_and_the_page_behind_its_link_are_in_the_persons_language() {
    let plan = Plan::default().with_confirm_page().api("LANGUAGES", "en,de,fr,es,ar");
    let system = TestSystem::with(plan).await;
    for (locale, time_zone, tag, direction, subject, clock) in [
        ("de-AT", "Europe/Vienna", "de", "ltr", "Ihr Anmeldelink für example.com, ", " MEZ"),
        ("fr", "UTC", "fr", "ltr", "Votre lien de connexion à example.com, ", " UTC"),
        ("es-MX", "Asia/Kolkata", "es", "ltr", "example.com", "GMT+5:30"),
        ("ar", "Africa/Cairo", "ar", "rtl", "example.com", "غرينتش"),
        ("xx", "Mars/Olympus", "en", "ltr", "Your sign-in link for example.com, ", " UTC"),
    ] {
        let email = format!("{tag}@example.com");
        let body = json!({
            "email": email, "callback_origin": "https://example.com", "locale": locale, "time_zone": time_zone,
        });
        let answer = system.post(&body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        system.until_state(&answer, "sent").await;
        let mail = system.mailgun.mails_to(&email).pop().unwrap();
        assert!(mail.subject.contains(subject), "{locale}: {}", mail.subject);
        assert!(mail.subject.contains(clock), "{locale}: {}", mail.subject);
        let html = format!("<html lang=\"{tag}\" dir=\"{direction}\">");
        assert!(mail.html.contains(&html), "{locale}: {}", mail.html);
        let (status, page) = get_at(mail.link().unwrap()).await;
        assert!(status == 200 && page.contains(&html) && page.contains(&email), "{locale}: {page}");
    }
    system.finish().await;
}

#[tokio::test]
async fn an_operators_translations_replace_built_in_ones_and_add_a_language() {
    let folder = tempfile::tempdir().unwrap();
    for (tag, words) in
        [("de", "mail-button = Jetzt anmelden\n"), ("it", "mail-subject-link = Il tuo link per { $host }, { $time }\n")]
    {
        std::fs::create_dir(folder.path().join(tag)).unwrap();
        std::fs::write(folder.path().join(tag).join("words.ftl"), words).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let plan = Plan::default().api("MAIL_TEMPLATES", path).worker("MAIL_TEMPLATES", path);
    let system = TestSystem::with(plan.api("LANGUAGES", "en,de,it")).await;
    for (locale, subject, button) in [
        ("de", "Ihr Anmeldelink für example.com, ", ">Jetzt anmelden</a>"),
        ("it", "Il tuo link per example.com, ", ">Sign in</a>"),
        ("en", "Your sign-in link for example.com, ", ">Sign in</a>"),
    ] {
        let email = format!("{locale}@example.com");
        let body = json!({ "email": email, "callback_origin": "https://example.com", "locale": locale });
        let answer = system.post(&body).await;
        system.until_state(&answer, "sent").await;
        let mail = system.mailgun.mails_to(&email).pop().unwrap();
        assert!(mail.subject.starts_with(subject) && mail.html.contains(button), "{}: {}", mail.subject, mail.html);
    }
    system.finish().await;
}
