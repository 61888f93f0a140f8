//! The worker's tasks: `run` starts them and stops them. `claim_loop` delivers jobs; the others run on a timer.

mod claim_loop;
mod gauges;
mod health;
mod maintenance;
pub mod prepare;
mod reconcile;
mod report_capacity;
pub mod run;
