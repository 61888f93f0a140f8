//! `POST /api/auth/send-magic-link`: parses the request's fields (`request`), checks them and enqueues a job
//! (`handler`), and lists the endpoint's responses for the document (`responses`).

pub(crate) mod handler;
pub(crate) mod request;
mod responses;
