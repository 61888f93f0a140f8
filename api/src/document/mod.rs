//! The OpenAPI document (`openapi`), its examples (`examples`), the limits that it lists (`limits`), and the page that
//! displays the document (`page`).

mod examples;
mod limits;
mod openapi;
pub(crate) mod page;
mod pointers;

pub use limits::PublishedLimits;
pub(crate) use openapi::service;
pub use openapi::{json, yaml};
