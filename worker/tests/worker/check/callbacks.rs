//! The portals' callbacks, compared with Supabase's redirect allow list.

use std::collections::BTreeSet;

use super::{CALLBACK, System};

/// The three forms of a callback that the command checks: without `next`, with a plain `next`, and with a `next` that
/// contains dots and slashes.
const QUERIES: [&str; 3] = ["", "?next=%2F", "?next=%2Fa.b%2Fc%3Fd%3De"];

/// Returns the callback URLs that the command has checked with Supabase. Asserts that no request carried a key or the
/// token of a link.
fn asked(system: &System) -> BTreeSet<String> {
    let calls = system.test.supabase.verify_journal();
    assert!(calls.iter().all(|call| !call.key_present && call.unknown_token.is_some()), "{calls:#?}");
    let about_redirects = |token: &Option<String>| token.as_deref() == Some("no-token-redirect-check");
    calls.into_iter().filter(|call| about_redirects(&call.unknown_token)).map(|call| call.redirect_to).collect()
}

fn shapes(callbacks: &[&str]) -> BTreeSet<String> {
    callbacks.iter().flat_map(|callback| QUERIES.map(|query| format!("{callback}{query}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_the_allow_list_refuses_is_found() {
    let system = System::sound().await;
    let both = format!("Redirect URLs): {CALLBACK},{CALLBACK}\\?**");
    for (entries, words) in [
        (
            &["https://other.example.com"][..],
            "does not accept this callback, so links to https://example.com/auth/callback lead to https://www.example.org",
        ),
        (&["https://example.com/auth/callback*"], "but not a longer path with dots and slashes"),
        (&["https://example.com/auth/callback"], "only without ?next="),
        (&[r"https://example.com/auth/callback\?**"], "only with ?next="),
    ] {
        system.test.supabase.set_allow_list(entries);
        system.check(&[]).await.expect_only("fail", "supabase.redirect", &[words, &both]);
    }
    let (code, printed) = system.run(&[]).await;
    let line = printed.lines().find(|line| line.starts_with("FAIL  supabase.redirect ")).unwrap_or(&printed);
    assert!(code == Some(1) && line.ends_with(&both), "the line must end with the entries to copy: {line}");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callbacks_of_each_portal_in_the_file_are_checked() {
    let mut system = System::sound().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portals.toml");
    let portals = "[[portal]]\nid = \"shop\"\nname = \"Shop\"\norigins = [\"https://*.shop.example\"]\ncallback_path = \"/in\"\n\n\
                   [[portal]]\nid = \"docs\"\nname = \"Docs\"\norigins = [\"https://example.com\"]\n\n\
                   [[portal]]\nid = \"server\"\nname = \"Server\"\norigins = [\"https://server.example\"]\nlink_style = \"token_hash\"\n";
    std::fs::write(&file, portals).unwrap();
    system.test.set("PORTALS_FILE", file.to_str().unwrap());
    system.options.truncate(2);
    let report = system.check(&[]).await;
    let words =
        ["https://preview.shop.example/in (portal shop)", r"https://*.shop.example/in,https://*.shop.example/in\?**"];
    report.expect_only("fail", "supabase.redirect", &words);
    assert!(
        report
            .printed
            .contains("https://example.com/auth/callback (portal docs): the redirect allow list accepts this callback"),
        "{report:#?}"
    );
    assert!(
        report.printed.contains("(portal server): not checked, because the allow list does not apply"),
        "{report:#?}"
    );
    assert_eq!(asked(&system), shapes(&["https://preview.shop.example/in", "https://example.com/auth/callback"]));
    system.test.supabase.set_allow_list(&["https://*.shop.example/in", r"https://*.shop.example/in\?**"]);
    let report = system.check(&["--portal", "shop"]).await;
    assert_eq!(report.code, Some(0), "{report:#?}");
    assert!(!report.printed.contains("portal docs"), "{report:#?}");
    assert!(system.test.supabase.journal().is_empty(), "the check must not request a link");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_many_portals_the_unchecked_callbacks_are_listed() {
    let mut system = System::sound().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portals.toml");
    let portal =
        |n: u32| format!("[[portal]]\nid = \"p{n}\"\nname = \"P{n}\"\norigins = [\"https://p{n}.example\"]\n\n");
    std::fs::write(&file, (1..=10).map(portal).collect::<String>()).unwrap();
    system.test.set("PORTALS_FILE", file.to_str().unwrap());
    system.test.supabase.set_allow_list(&["https://*.example/**"]);
    system.options.truncate(2);
    let report = system.check(&[]).await;
    assert_eq!(report.code, Some(0), "{report:#?}");
    let rest = "limits the rate of these checks: https://p9.example/auth/callback (portal p9), \
                https://p10.example/auth/callback (portal p10)";
    assert!(report.printed.contains(rest), "{report:#?}");
    let callbacks: Vec<String> = (1..=8).map(|n| format!("https://p{n}.example/auth/callback")).collect();
    assert_eq!(asked(&system), shapes(&callbacks.iter().map(String::as_str).collect::<Vec<_>>()));
    let report = system.check(&["--portal", "p9", "--portal", "p10"]).await;
    assert!(report.code == Some(0) && !report.printed.contains("--portal"), "{report:#?}");
    system.finish().await;
}
