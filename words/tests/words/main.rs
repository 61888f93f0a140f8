//! Tests of the crate's public interface: the built-in sentences, and an operator's own words.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod english;
mod folder;
mod operator;
mod parts;
mod sentences;
