//! The worker's tasks. `run` starts and stops them: `claim_loop` delivers jobs, `maintenance` and `reconcile` run on a
//! schedule, `gauges` and `report_capacity` publish the state, and `health` serves it. `check_pooler` and
//! `prepare` come first: whether the database can be used, and its tables.

mod check_database;
mod check_pooler;
mod check_upstreams;
mod claim_loop;
mod gauges;
mod health;
mod maintenance;
pub mod prepare;
mod reconcile;
mod report_capacity;
mod report_program;
pub mod run;
