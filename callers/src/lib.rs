//! Finds the client address of a request, which decides whose rate limit the request counts against. A reverse proxy in
//! front of the api reports the client's address in a header. `TRUSTED_PROXIES`, `CLIENT_IP_HEADER` and
//! `TRUSTED_PROXY_HOPS` determine which header is trusted.
//!
//! The api uses this crate for its rate limits. For a request that an operator describes, `magic-link-worker check
//! --peer` uses it to show the client address and the reason. This crate writes no logs and no metrics.

mod client_ip;
mod forwarded;
mod network;
mod settings;
mod trusted_proxies;

pub use client_ip::{ClientIpFinder, ClientIpSource, ClientReason, FoundClient};
pub use forwarded::{FORWARDED_FOR, entries_from_the_right, parse_entry};
pub use network::{CLIENT, ClientNetwork, PrefixLength, is_private};
pub use settings::CallerSettings;
pub use trusted_proxies::{TrustedProxies, parse_network};
