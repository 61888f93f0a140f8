//! `POST /api/auth/send-magic-link`: the request's fields (`request`) and what is done with them (`handler`).

pub(crate) mod handler;
pub(crate) mod request;
