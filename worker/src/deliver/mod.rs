//! One delivery: get a link (`redirect`, `link`, `link_path`), mail it (`send`), and record how the delivery ended (`outcome`). `run` holds the
//! steps in order. `context` holds what every step needs, `failure` decides what to do after a failed call, `backoff` when
//! to retry, and `stopwatch` times each call.

pub(crate) mod backoff;
pub(crate) mod context;
mod failure;
mod interruption;
mod link;
mod link_path;
mod outcome;
mod redirect;
pub(crate) mod run;
mod send;
mod stopwatch;
