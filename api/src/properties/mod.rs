//! Properties of the parsers for untrusted input and of the parser for `.env`, one property per parser.
//!
//! A property accepts any bytes, panics if the parser breaks a rule, and returns whether the parser accepted the input.
//! `cargo test` runs the properties with proptest, on the seeds in `fuzz/` and on mixtures of words from the fuzzers'
//! dictionaries. `just fuzz-parsers` runs the properties with libFuzzer, which searches for new code paths. The
//! properties model the programs that read the result (browsers, mail programs, proxies) and do not call the parsers'
//! own helper functions.

mod browser;
mod callback_next;
mod callback_origin;
mod client_ip;
mod dotenv;
mod email;
mod json_body;
#[cfg(test)]
mod linear;
#[cfg(test)]
mod tests;

pub use callback_next::callback_next;
pub use callback_origin::callback_origin;
pub use client_ip::client_ip;
pub use dotenv::dotenv;
pub use email::email;
pub use json_body::json_body;
