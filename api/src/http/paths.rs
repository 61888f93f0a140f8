//! The endpoints' paths and methods. Layers use them to limit, log and answer the requests to each endpoint.

/// A `POST` to this path requests a link. The published reference lists the path without `/api`, which is part of its
/// server URL.
pub(crate) const SEND_MAGIC_LINK_PATH: &str = "/api/auth/send-magic-link";

/// Mailgun posts its events to this path.
pub(crate) const WEBHOOK_PATH: &str = "/api/webhooks/mailgun";

/// The `Allow` header for [`SEND_MAGIC_LINK_PATH`]. OPTIONS is for CORS preflights.
pub(crate) const SEND_MAGIC_LINK_METHODS: &str = "POST, OPTIONS";

/// The `Allow` header for [`WEBHOOK_PATH`].
pub(crate) const WEBHOOK_METHODS: &str = "POST";
