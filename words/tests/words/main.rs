//! What callers of the crate rely on: the sentences, and an operator's own words.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod english;
mod folder;
mod operator;
mod parts;
mod sentences;
