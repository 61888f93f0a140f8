//! No output shows a secret, even if an upstream repeats the secret. In most other tests of the command, `System::run`
//! also searches the output for secrets.

use sandbox::Fault;

use super::{ACCOUNT, System};

/// Secret settings, with values that occur in no other text.
const SECRETS: [(&str, &str); 5] = [
    ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_0123456789"),
    ("MAILGUN_API_KEY", "sending-key-0123456789"),
    ("MAILGUN_EVENTS_KEY", "reading-key-0123456789"),
    ("LINK_SEALING_KEY", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="),
    ("CONFIRM_KEY", "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="),
];

/// Returns all outputs of the command: as text and as JSON, with and without a real link.
async fn all_outputs(system: &System) -> Vec<String> {
    let mut outputs = vec![];
    for options in [&[][..], &["--json"], &["--as", ACCOUNT], &["--as", ACCOUNT, "--json"]] {
        outputs.push(system.run(options).await.1);
    }
    outputs
}

fn assert_none_shown(outputs: &[String], secrets: &[&str]) {
    for output in outputs {
        for secret in secrets {
            assert!(!output.contains(secret), "{secret}: {output}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_about_a_sound_system_shows_a_secret() {
    let mut system = System::sound().await;
    system.test.set("CONFIRM_KEY", SECRETS[4].1);
    system.test.set("LINK_STYLE", "confirm");
    let outputs = all_outputs(&system).await;
    assert!(outputs[2].contains("ok    supabase.link "), "{outputs:#?}");
    assert_none_shown(&outputs, &[SECRETS[4].1]);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_shows_a_secret_that_an_upstream_repeats() {
    let mut system = System::sound().await;
    for (name, value) in SECRETS {
        system.test.set(name, value);
    }
    let password = "pass-word-0123456789";
    system.test.set("DATABASE_URL", &format!("postgres://ann:{password}@127.0.0.1:1/nothing"));
    system.test.set("HTTPS_PROXY", &format!("http://ann:{password}@127.0.0.1:1"));
    let secrets: Vec<&str> = SECRETS.iter().map(|(_, secret)| *secret).chain([password]).collect();
    let told = format!("Not accepted: {}", secrets.join(" "));
    for status in [400, 401, 403, 404, 500] {
        let answer = || {
            let body = serde_json::json!({"message": &told, "msg": &told, "code": "bad_jwt"});
            Fault::answer(status, body.to_string()).always()
        };
        system.test.supabase.faults().add(answer());
        system.test.supabase.verify_faults().add(answer());
        system.test.mailgun.faults().add(answer());
        system.test.mailgun.read_faults().add(answer());
        let outputs = all_outputs(&system).await;
        assert_none_shown(&outputs, &secrets);
        for faults in [system.test.supabase.faults(), system.test.supabase.verify_faults()] {
            faults.clear();
        }
        for faults in [system.test.mailgun.faults(), system.test.mailgun.read_faults()] {
            faults.clear();
        }
    }
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_message_cannot_disturb_a_terminal() {
    let system = System::sound().await;
    let body = r#"{"message":"evil \u001b[2J \u202eright to left\u2028\r\nok    fake"}"#;
    system.test.mailgun.faults().add(Fault::answer(401, body).always());
    for options in [&[][..], &["--json"]] {
        let (code, printed) = system.run(options).await;
        assert_eq!(code, Some(1), "{printed}");
        assert!(printed.contains("evil"), "{printed}");
        let is_unsafe = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2028}');
        assert!(!printed.contains(is_unsafe), "{printed:?}");
        assert!(!printed.lines().any(|line| line.starts_with("ok    fake")), "{printed}");
    }
    system.finish().await;
}
