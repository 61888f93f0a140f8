//! Accepts requests: `batch` is the entry point. It reads what is known about the recipients (`recipient_state`),
//! decides who is accepted (`decide`) and writes the jobs (`write`), or takes the shortcut for `newcomers`.

pub(crate) mod batch;
mod decide;
mod newcomers;
mod recipient_state;
mod write;
