//! The settings that `cargo dev` passes to the two programs. The programs get no other settings. All values are made
//! up.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{DevLinkStyle, PortalFiles};

/// The stand-ins' keys. No other server accepts them.
pub(super) const SERVICE_ROLE_KEY: &str = "sandbox-service-role-key";
pub(super) const MAILGUN_KEY: &str = "key-sandbox";
pub(super) const MAILGUN_EVENTS_KEY: &str = "events-key-sandbox";
pub(super) const MAILGUN_DOMAIN: &str = "mg.example.com";
pub(super) const WEBHOOK_SIGNING_KEY: &str = "sandbox-webhook-signing-key";

/// The sender for portals that do not specify one.
const MAIL_FROM: &str = "Example Portal <sign-in@mg.example.com>";

/// The addresses, ports and files of all parts of the sandbox.
#[derive(Clone, Debug)]
pub(super) struct DevAddresses {
    /// The database URLs, one for each program's role.
    pub(super) api_database: String,
    pub(super) worker_database: String,
    pub(super) supabase: String,
    pub(super) mailgun: String,
    pub(super) api: u16,
    pub(super) api_private: u16,
    pub(super) worker: u16,
    /// The value of `PORTALS_FILE` for both programs.
    pub(super) portals_file: PathBuf,
    /// The value of `MAIL_TEMPLATES` for both programs.
    pub(super) templates: PathBuf,
}

/// The value of `RUST_LOG`, which hides routine messages from libraries.
const LOG: &str = "info,sqlx::postgres::notice=warn,tokio_cron_scheduler=warn,poem::server=warn";

type ProgramSettings = Vec<(String, String)>;

pub(super) fn for_migrate(database: &str) -> ProgramSettings {
    owned([("DATABASE_URL", database.to_owned())])
}

/// The api's settings. They allow many requests in a short time.
pub(super) fn for_api(at: &DevAddresses, confirm_key: &str) -> ProgramSettings {
    owned([
        ("DATABASE_URL", at.api_database.clone()),
        ("MIGRATE_ON_START", "false".into()),
        ("API_LISTEN", loopback(at.api)),
        ("API_PRIVATE_LISTEN", loopback(at.api_private)),
        ("PUBLIC_URL", public_url(at)),
        ("CONFIRM_KEY", confirm_key.to_owned()),
        ("PORTALS_FILE", at.portals_file.display().to_string()),
        ("MAIL_TEMPLATES", at.templates.display().to_string()),
        // No load balancer needs time to notice that the api is stopping.
        ("DRAIN_SECONDS", "0".into()),
        ("IP_RATE_LIMIT", "600/1m".into()),
        ("RECIPIENT_RATE_LIMIT", "100/15m,1000/1d".into()),
        ("RECIPIENT_CLIENT_RATE_LIMIT", "100/15m,1000/1d".into()),
        ("MAILGUN_DOMAIN", MAILGUN_DOMAIN.into()),
        ("MAILGUN_WEBHOOK_SIGNING_KEY", WEBHOOK_SIGNING_KEY.into()),
        ("RUST_LOG", LOG.into()),
    ])
}

/// The settings of an api under test. The limit per client address is practically off, and the limits per recipient
/// have their defaults.
pub(super) fn for_lone_api(database: String) -> ProgramSettings {
    owned([
        ("DATABASE_URL", database),
        ("MIGRATE_ON_START", "false".into()),
        ("API_LISTEN", loopback(0)),
        ("API_PRIVATE_LISTEN", loopback(0)),
        ("CALLBACK_ORIGINS", "https://example.com,http://localhost:*".into()),
        ("IP_RATE_LIMIT", "1000000/1s".into()),
        ("MAILGUN_DOMAIN", MAILGUN_DOMAIN.into()),
        ("MAILGUN_WEBHOOK_SIGNING_KEY", WEBHOOK_SIGNING_KEY.into()),
        ("LOG_FORMAT", "json".into()),
        ("RUST_LOG", LOG.into()),
    ])
}

/// The worker's settings. `link_style` determines where links point. Every mail contains a code.
pub(super) fn for_worker(at: &DevAddresses, confirm_key: &str, link_style: DevLinkStyle) -> ProgramSettings {
    owned([
        ("DATABASE_URL", at.worker_database.clone()),
        ("MIGRATE_ON_START", "false".into()),
        ("WORKER_LISTEN", loopback(at.worker)),
        ("SUPABASE_URL", at.supabase.clone()),
        ("SUPABASE_SERVICE_ROLE_KEY", SERVICE_ROLE_KEY.into()),
        ("MAILGUN_BASE_URL", at.mailgun.clone()),
        ("MAILGUN_DOMAIN", MAILGUN_DOMAIN.into()),
        ("MAILGUN_API_KEY", MAILGUN_KEY.into()),
        ("MAILGUN_EVENTS_KEY", MAILGUN_EVENTS_KEY.into()),
        ("MAIL_FROM", MAIL_FROM.into()),
        ("LINK_SEALING_KEY", new_key()),
        ("LINK_STYLE", link_style.as_str().into()),
        ("PORTALS_FILE", at.portals_file.display().to_string()),
        ("MAIL_TEMPLATES", at.templates.display().to_string()),
        ("MAIL_CODE", "on".into()),
        ("PUBLIC_URL", public_url(at)),
        ("CONFIRM_KEY", confirm_key.to_owned()),
        ("RUST_LOG", LOG.into()),
    ])
}

/// The settings of `magic-link-worker mail preview`.
pub(super) fn for_preview(files: &PortalFiles) -> ProgramSettings {
    owned([
        ("PORTALS_FILE", files.portals().display().to_string()),
        ("MAIL_TEMPLATES", files.templates().display().to_string()),
        ("MAIL_FROM", MAIL_FROM.into()),
    ])
}

/// 32 random bytes in base64.
pub(super) fn new_key() -> String {
    STANDARD.encode(rand::random::<[u8; 32]>())
}

/// The api's own address. Programs accept http only on loopback.
fn public_url(at: &DevAddresses) -> String {
    format!("http://{}", loopback(at.api))
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn owned<const N: usize>(settings: [(&str, String); N]) -> ProgramSettings {
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
