//! The running program: starts and stops it (`serve`), handles each connection (`connection`), and defines the routes
//! and their layers (`router`, `cors`, `health`). `prepare_database` migrates the database in the background.

mod connection;
mod cors;
mod health;
mod prepare_database;
mod report_program;
mod router;
pub(crate) mod serve;
