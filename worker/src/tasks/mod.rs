//! The worker's tasks. `run` starts and stops the other tasks. `check_pooler` and `prepare` run first, to check that the
//! database can be used and to prepare its tables. Then `claim_loop` delivers jobs, `check_database` and `check_upstreams` run
//! regularly, and `maintenance` and `reconcile` run on a schedule. `gauges`, `report_capacity` and `report_program` publish the
//! state, and `health` serves it.

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
