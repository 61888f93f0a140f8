//! The OpenAPI document (`openapi`), its examples (`examples`), and the page that shows it (`page`).

mod examples;
mod openapi;
pub(crate) mod page;
mod pointers;

pub(crate) use openapi::service;
pub use openapi::{json, yaml};
