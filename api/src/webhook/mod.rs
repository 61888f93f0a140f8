//! `POST /api/webhooks/mailgun`: the signature is verified, and the event is recorded on its job.

pub(crate) mod handler;
pub(crate) mod request;
mod responses;
mod signature;
