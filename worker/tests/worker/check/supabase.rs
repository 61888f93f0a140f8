//! Supabase Auth faults: a wrong key, a wrong path for links, and faults that only a real link reveals.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sandbox::Fault;
use serde_json::json;

use super::{ACCOUNT, CALLBACK, System};

#[tokio::test(flavor = "multi_thread")]
async fn a_supabase_fault_is_found() {
    let mut system = System::sound().await;
    let payload = BASE64_URL_SAFE_NO_PAD.encode(r#"{"role":"service_role","ref":"abcdefghijklmnopqrst"}"#);
    let of_another_project = format!("eyJhbGciOiJIUzI1NiJ9.{payload}.c2lnbmF0dXJl");
    for (key, words) in [
        ("wrong-key", "Set SUPABASE_SERVICE_ROLE_KEY to this project's secret key"),
        ("sandbox-anon-key", "does not have the service_role role"),
        (&of_another_project, "The current key belongs to the project abcdefghijklmnopqrst: also check SUPABASE_URL"),
    ] {
        system.test.set("SUPABASE_SERVICE_ROLE_KEY", key);
        system.check(&[]).await.expect_only("fail", "supabase.key", &[words]);
    }
    system.test.set("SUPABASE_SERVICE_ROLE_KEY", "sandbox-service-role-key");

    system.test.supabase.verify_faults().add(Fault::status(404).always());
    system.check(&[]).await.expect_only("fail", "supabase.verify", &["404", "MAILER_URLPATHS_*"]);
    system.test.supabase.verify_faults().clear();

    system.test.supabase.faults().add(Fault::status(503).always());
    system.check(&[]).await.expect_only("fail", "supabase.connection", &["status 503", "status page"]);
    system.test.supabase.faults().clear();

    let url = system.test.supabase.url();
    system.test.set("SUPABASE_URL", "http://127.0.0.1:1");
    system.check(&[]).await.expect_only("fail", "supabase.connection", &["Check SUPABASE_URL"]);
    system.test.set("SUPABASE_URL", &url);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_only_a_real_link_reveals_is_found() {
    let mut system = System::sound().await;
    let real = ["--as", ACCOUNT];
    system.test.supabase.set_verify_path("/verify");
    system.check(&real).await.expect_only(
        "fail",
        "supabase.link",
        &["/verify, where the server responds with 404", "MAILER_URLPATHS_*"],
    );
    system.test.supabase.set_verify_path("/auth/v1/verify");

    system.test.set("LINK_ORIGINS", "https://auth.example.com");
    system.check(&real).await.expect_only("fail", "supabase.link", &["API_EXTERNAL_URL", "LINK_ORIGINS"]);
    system.test.set("LINK_ORIGINS", "");

    system.test.supabase.set_otp_length(6);
    system.check(&real).await.expect_only(
        "warn",
        "supabase.code",
        &["6 digits", "MAILER_OTP_LENGTH (Email OTP length) to 10"],
    );
    system.test.set("MAIL_CODE", "on");
    system.check(&real).await.expect_only(
        "fail",
        "supabase.code",
        &["without a code", "MAILER_OTP_LENGTH (Email OTP length) to 10"],
    );
    system.test.supabase.set_otp_length(10);

    let users = system.test.supabase.users().len();
    system.check(&["--as", "stranger@example.com"]).await.expect_only(
        "fail",
        "supabase.link",
        &["s…@example.com has no account"],
    );
    assert_eq!(system.test.supabase.users().len(), users, "the check must not create an account");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_requests_no_link_for_a_person_with_an_open_job() {
    let system = System::sound().await;
    system.test.enqueue(ACCOUNT).await;
    let report = system.check(&["--as", ACCOUNT]).await;
    assert_eq!(report.probes["supabase.link"].0, "skip", "{report:#?}");
    assert!(report.probes["supabase.link"].1.contains("a…@example.com has an open job"), "{report:#?}");
    assert!(system.test.supabase.journal().is_empty());
    system.test.finish_with_open_jobs(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_redirects_elsewhere_is_found() {
    let system = System::sound().await;
    let link = |redirect_to: &str| {
        let action_link = format!("{}/auth/v1/verify?token=sesame&type=recovery", system.test.supabase.url());
        json!({
            "email": ACCOUNT, "action_link": action_link, "redirect_to": redirect_to, "email_otp": "1234567890",
        })
    };
    for (redirect_to, words) in [
        ("https://www.example.org/?code=sesame", "redirects to https://www.example.org/ instead of"),
        ("https://example.com/auth/callback/", "redirects to https://example.com/auth/callback/ instead of"),
        ("javascript:sesame", "redirects to another page instead of"),
    ] {
        let fault = Fault::answer(200, link(redirect_to).to_string()).to(ACCOUNT);
        system.test.supabase.faults().add(fault);
        let report = system.check(&["--as", ACCOUNT]).await;
        let entries = format!("(Redirect URLs): {CALLBACK},{CALLBACK}\\?**");
        report.expect_only("fail", "supabase.link-redirect", &[words, CALLBACK, &entries]);
        assert!(!report.printed.contains("sesame") && !report.printed.contains("1234567890"), "{report:#?}");
    }
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redirect_check_of_a_link_is_skipped_without_a_callback_or_with_token_hash() {
    let mut system = System::sound().await;
    let real = ["--as", ACCOUNT];
    let skipped = async |system: &System, words: &str| {
        let report = system.check(&real).await;
        let (result, told) = &report.probes["supabase.link-redirect"];
        assert!(result == "skip" && told.contains(words) && report.code == Some(0), "{report:#?}");
    };
    system.options.truncate(2);
    skipped(&system, "pass --callback").await;
    system.test.set("LINK_STYLE", "token_hash");
    system.test.supabase.set_allow_list(&[]);
    skipped(&system, "With this LINK_STYLE").await;
    system.finish().await;
}
