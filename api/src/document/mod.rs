//! The OpenAPI document (`openapi`), its examples (`examples`), the limits that it states (`limits`), and the page that shows
//! it (`page`).

mod examples;
mod limits;
mod openapi;
pub(crate) mod page;
mod pointers;

pub use limits::PublishedLimits;
pub(crate) use openapi::service;
pub use openapi::{json, yaml};
