//! The settings that tests give to the programs, one list for each program. A harness appends its own settings: if a
//! name occurs twice, the later value is used.

use crate::{Mailgun, MailgunSettings, SupabaseAuth, SupabaseSettings};

/// The workers' `LINK_SEALING_KEY`: the bytes 0 to 31.
pub const LINK_SEALING_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The address that mails come from.
const MAIL_FROM: &str = "Example Portal <sign-in@mg.example.com>";

/// Any free port on this machine.
const ANY_PORT: &str = "127.0.0.1:0";

/// Settings of an api with limits that no test reaches by accident.
pub fn api(database_url: &str) -> Vec<(String, String)> {
    owned([
        ("DATABASE_URL", database_url),
        ("MIGRATE_ON_START", "false"),
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "debug"),
        ("API_LISTEN", ANY_PORT),
        ("API_PRIVATE_LISTEN", ANY_PORT),
        // There is no load balancer that needs time to notice that the api is stopping.
        ("DRAIN_SECONDS", "0"),
        ("CALLBACK_ORIGINS", "https://example.com,http://localhost:*"),
        ("IP_RATE_LIMIT", "100000/1m"),
        ("RECIPIENT_RATE_LIMIT", "1000/15m"),
        ("RECIPIENT_CLIENT_RATE_LIMIT", "1000/15m"),
    ])
}

/// Settings of a worker that uses these stand-ins. The stand-ins must have their default keys.
pub fn worker(database_url: &str, supabase: &SupabaseAuth, mailgun: &Mailgun) -> Vec<(String, String)> {
    let (supabase_keys, mailgun_keys) = (SupabaseSettings::default(), MailgunSettings::default());
    owned([
        ("DATABASE_URL", database_url),
        ("MIGRATE_ON_START", "false"),
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "debug"),
        ("WORKER_LISTEN", ANY_PORT),
        ("SUPABASE_URL", &supabase.url()),
        ("SUPABASE_SERVICE_ROLE_KEY", &supabase_keys.service_role_key),
        ("MAILGUN_BASE_URL", &mailgun.url()),
        ("MAILGUN_DOMAIN", &mailgun_keys.domain),
        ("MAILGUN_API_KEY", &mailgun_keys.api_key),
        ("MAILGUN_RATE", "1000/1s"),
        ("MAIL_FROM", MAIL_FROM),
        ("LINK_SEALING_KEY", LINK_SEALING_KEY),
    ])
}

fn owned<const N: usize>(settings: [(&str, &str); N]) -> Vec<(String, String)> {
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
