//! The steps of one delivery. `run` lists the steps in order. `portal` finds the job's portal. `redirect`, `link`,
//! `link_path` and `new_link` get the link, `send` mails it, and `outcome` records the result. `context` contains what
//! every step needs, `reader` determines the look, language and time zone of the mail, `failure` decides what to do
//! after a failed call, `backoff` decides when to retry, `stopwatch` times each step, and `interruption` lists the
//! reasons why a delivery stops early.

pub(crate) mod backoff;
pub(crate) mod context;
mod failure;
mod interruption;
mod link;
mod link_path;
mod new_link;
mod outcome;
mod portal;
mod reader;
mod redirect;
pub(crate) mod run;
mod send;
mod stopwatch;
