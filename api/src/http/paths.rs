//! The endpoints' paths and methods. Layers use them to limit, log and answer the requests to each endpoint.

/// A `POST` to this path requests a link. The published reference names this path without the server's prefix `/api`.
pub(crate) const SEND_MAGIC_LINK_PATH: &str = "/api/auth/send-magic-link";

/// Mailgun posts its events to this path.
pub(crate) const WEBHOOK_PATH: &str = "/api/webhooks/mailgun";

/// `Allow` for [`SEND_MAGIC_LINK_PATH`]. OPTIONS is for CORS preflights.
pub(crate) const SEND_MAGIC_LINK_METHODS: &str = "POST, OPTIONS";

/// `Allow` for [`WEBHOOK_PATH`].
pub(crate) const WEBHOOK_METHODS: &str = "POST";
