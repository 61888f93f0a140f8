//! `POST /api/webhooks/mailgun`: parses the body (`request`), verifies Mailgun's signature (`signature`), records the
//! event on its job (`handler`), logs the number of webhooks per outcome (`log`), and lists the endpoint's responses
//! for the document (`responses`).

pub(crate) mod handler;
pub(crate) mod log;
pub(crate) mod request;
mod responses;
mod signature;
