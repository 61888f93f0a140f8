//! What must hold for whatever a stranger sends: one property for each parser of what callers send.
//!
//! A property takes any bytes, panics where the parser breaks a promise, and tells whether it took the text. They
//! are stated once and tried from two sides: `cargo test` by proptest, on the seeds in `fuzz/` and on mixtures of
//! dangerous words; `just fuzz-parsers` by libFuzzer, which looks for new paths through the code. They describe
//! what the readers of the result do (browsers, mail programs, proxies) without the parsers' own functions.

mod browser;
mod callback_next;
mod callback_origin;
mod client_ip;
mod email;
#[cfg(test)]
mod linear;
#[cfg(test)]
mod tests;

pub use callback_next::callback_next;
pub use callback_origin::callback_origin;
pub use client_ip::client_ip;
pub use email::email;
