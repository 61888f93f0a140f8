//! Accepts requests. `batch` is the entry point: it reads the state of the recipients (`recipient_state`), decides
//! which requests are accepted (`decide`) and writes the jobs (`write`), or takes the shortcut for `newcomers`. `retry`
//! does the same for a job that an operator retries.

pub(crate) mod batch;
mod decide;
mod newcomers;
mod recipient_state;
pub(crate) mod request;
pub(crate) mod retry;
mod write;
