//! Runs the program. This module starts the program (`serve`), stops it (`shutdown`), accepts connections (`accept`,
//! `open_connections`), serves each connection (`connection`, `deadline`, `observed_socket`), and defines the routes
//! and their layers (`router`, `cors`, `health`). `prepare_database` prepares the database in the background, and
//! `report_program` reports that the api is running.

mod accept;
mod connection;
mod cors;
mod deadline;
mod health;
mod observed_socket;
mod open_connections;
mod prepare_database;
mod report_program;
mod router;
pub(crate) mod serve;
mod shutdown;
