//! The worker's tasks. `run` starts and stops the other tasks. `check_pooler` checks that `DATABASE_URL` does not point
//! to a pooler in transaction mode, and `prepare` migrates or checks the tables. After that, `claim_loop` delivers
//! jobs. `check_database` and `check_upstreams` run regularly, and `maintenance` and `reconcile` run on a schedule.
//! `reload` reads the settings files again on SIGHUP. `report_capacity` and `report_program` publish this worker's
//! state, `gauges` publishes the state that all workers share, and `health` serves health checks and metrics.

mod check_database;
mod check_pooler;
mod check_upstreams;
mod claim_loop;
mod gauges;
mod health;
mod maintenance;
pub mod prepare;
mod reconcile;
mod reload;
mod report_capacity;
mod report_program;
pub mod run;
