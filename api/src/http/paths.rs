//! Where the endpoints are: what is limited, logged and answered in its way.

/// Where links are asked for, as the published reference has it below the server's `/api`.
pub(crate) const PATH: &str = "/api/auth/send-magic-link";

/// Where Mailgun reports.
pub(crate) const WEBHOOK_PATH: &str = "/api/webhooks/mailgun";

/// What is taken at [`PATH`]; the second is a browser's preflight.
pub(crate) const METHODS: &str = "POST, OPTIONS";

/// What is taken at [`WEBHOOK_PATH`].
pub(crate) const WEBHOOK_METHODS: &str = "POST";
