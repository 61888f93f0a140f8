//! One delivery: get a link (`link`), mail it (`send`), and record how it ended (`outcome`). `run` holds the steps in
//! order; `context` holds what every step needs, `failure` decides what a failed call means for the job and for the other workers, `backoff` when to retry.

pub(crate) mod backoff;
pub(crate) mod context;
mod failure;
mod link;
mod outcome;
pub(crate) mod run;
mod send;
mod stopwatch;
