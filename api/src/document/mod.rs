//! The OpenAPI document, its examples, and the page that shows it.

mod examples;
mod openapi;
pub(crate) mod page;
mod pointers;

pub(crate) use openapi::service;
pub use openapi::{json, yaml};
