//! An operator's templates and words in `MAIL_TEMPLATES`: what they change, which faults are rejected, and how SIGHUP
//! reloads them.

use std::{fs, path::Path};

use sandbox::{Fault, Program, eventually};

use crate::test_worker::{TIMEOUT, TestWorker, count_log_lines, http_get, spawn};

const ADA: &str = "ada@example.com";

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Sends SIGHUP and waits for the result.
async fn reload(worker: &Program, result: &str) {
    let series = format!("magic_link_reloads_total{{result=\"{result}\"}} ");
    let count = async || {
        let (_, metrics) = http_get(worker, "/metrics").await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{series}: {metrics}")).parse::<u64>().unwrap()
    };
    let before = count().await;
    worker.hang_up();
    eventually(&series, async || if count().await > before { Ok(()) } else { Err(worker.log()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_new_mails_but_not_mails_that_were_already_tried() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "en/words.ftl", "mail-button = First words\n");
    let mut test = TestWorker::new().await;
    test.set("MAIL_TEMPLATES", folder.path().to_str().unwrap());
    test.mailgun.faults().add(Fault::status(500));
    let worker = test.start_worker();
    let tried = test.enqueue(ADA).await;
    test.wait_for_state(tried, "retrying").await;

    write(folder.path(), "en/words.ftl", "mail-button = Second words\n");
    reload(&worker, "ok").await;
    let new = test.enqueue("new@example.com").await;
    test.wait_for_state(new, "sent").await;
    test.make_due(tried).await;
    test.wait_for_state(tried, "sent").await;
    let html = |address| test.mailgun.mails_to(address).pop().unwrap().html;
    assert!(html("new@example.com").contains(">Second words</a>"));
    assert!(html(ADA).contains(">First words</a>"), "the retry must send the same text as the first attempt");
    assert_eq!(count_log_lines(&worker, "reloaded PORTALS_FILE and MAIL_TEMPLATES"), 1);

    // If any file has a fault, none of the changed files is used.
    write(folder.path(), "en/words.ftl", "mail-button = Third words\n");
    write(folder.path(), "sign_in.txt", "{{ link }}\n{{ cod }}\n");
    write(folder.path(), "singin.html", "");
    reload(&worker, "failed").await;
    let kept = test.enqueue("kept@example.com").await;
    test.wait_for_state(kept, "sent").await;
    assert!(html("kept@example.com").contains(">Second words</a>"));
    let errors: Vec<String> = worker.log().into_iter().filter(|line| line.contains("reload failed")).collect();
    assert!(errors.len() == 1 && errors[0].contains("singin.html"), "{errors:?}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_templates_replace_the_built_in_templates() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "subject.txt", "{{ host }}: {{ line(\"mail-button\") }}\n");
    write(
        folder.path(),
        "sign_in.html",
        "<!doctype html><body>{% include \"button.html\" %}<p>{{ link }}</p></body>\n",
    );
    write(
        folder.path(),
        "sign_in.txt",
        "{{ message(\"mail-heading\") }}\n\n{{ link }}\n{% if code %}{{ code }}{% endif %}\n",
    );
    // A mail with only a code has no link, so the template must test `link` first.
    let html = "{% if link %}<a href=\"{{ link }}\">{{ line(\"mail-button\") }}</a>{% endif %}{% if code %}{{ code }}{% endif %}";
    write(folder.path(), "button.html", html);
    let mut test = TestWorker::new().await;
    test.set("MAIL_TEMPLATES", folder.path().to_str().unwrap());
    let refused = spawn(test.settings(), &[]);
    assert_eq!(refused.wait().await.code(), Some(2));
    let log = refused.log().join("\n");
    for line in ["sign_in.html:1: ", "sign_in.txt:3: "] {
        assert!(log.contains(line) && log.contains("test for it with `if` first"), "{log}");
    }

    write(folder.path(), "sign_in.html", "<!doctype html><body>{% include \"button.html\" %}</body>\n");
    let text =
        "{{ message(\"mail-heading\") }}\n\n{% if link %}{{ link }}\n{% endif %}{% if code %}{{ code }}{% endif %}\n";
    write(folder.path(), "sign_in.txt", text);
    let _worker = test.start_worker();
    test.enqueue(ADA).await;
    let mail = test.mailgun.wait_for_mail(ADA, TIMEOUT).await.unwrap();
    assert_eq!(mail.subject, "example.com: Sign in");
    let link = mail.link().unwrap();
    assert_eq!(mail.text, format!("Sign in to example.com\n\n{link}\n"));
    let escaped = link.replace('&', "&amp;");
    assert_eq!(mail.html, format!("<!doctype html><body><a href=\"{escaped}\">Sign in</a></body>"));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mail_in_a_burst_has_its_own_link_with_any_template() {
    let folder = tempfile::tempdir().unwrap();
    let link = "{% if link %}<a href=\"{{ link }}\">x</a>{% endif %}{% if code %}{{ code }}{% endif %}";
    write(folder.path(), "sign_in.html", link);
    // The German template prints the length of the link, so a cached German mail cannot be reused with another link.
    let text = "{% if link %}{{ link }}\n{{ link|length }}{% endif %}{% if code %}{{ code }}{% endif %}";
    write(folder.path(), "de/sign_in.txt", text);
    write(folder.path(), "sign_in.txt", "{% if link %}{{ link }}\n{% endif %}{% if code %}{{ code }}{% endif %}");
    let mut test = TestWorker::new().await;
    test.set("MAIL_TEMPLATES", folder.path().to_str().unwrap());
    let mut jobs = vec![];
    for number in 0..20_usize {
        let (address, language) = (format!("a{number}@example.com"), ["en", "de"][number % 2]);
        let callback = format!("https://example.com/auth/callback?next=%2F{}", "x".repeat(number));
        let job = test.enqueue_to(&address, &callback).await;
        test.execute(&format!("update email_jobs set language = '{language}' where id = '{}'", job.0)).await;
        jobs.push((job, address, callback, language));
    }
    let _worker = test.start_worker();
    for (job, address, callback, language) in jobs {
        test.wait_for_state(job, "sent").await;
        let mail = test.mailgun.mails_to(&address).pop().unwrap();
        let link = mail.link().unwrap();
        let outcome = test.supabase.verify(link).await.unwrap();
        assert!(outcome.signed_in() && outcome.redirect_to == callback, "{address}");
        let length = if language == "de" { link.len().to_string() } else { String::new() };
        assert_eq!(mail.text, format!("{link}\n{length}"));
        assert_eq!(mail.html, format!("<a href=\"{}\">x</a>", link.replace('&', "&amp;")));
    }
    test.finish().await;
}
