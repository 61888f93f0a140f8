//! The running program: its listeners and connections (`serve`, `connection`), its routes and layers (`router`, `cors`),
//! and its health.

mod connection;
mod cors;
mod health;
mod router;
pub(crate) mod serve;
