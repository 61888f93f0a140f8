//! Finds the client address of a request, which decides whose rate limit the request counts against. A reverse proxy in front of
//! the api names the client in a header; `TRUSTED_PROXIES`, `CLIENT_IP_HEADER` and `TRUSTED_PROXY_HOPS` say which header to
//! trust.
//!
//! The api asks for the address of each request. `magic-link-worker check --peer` also shows the reason, for a request that an
//! operator describes. The crate logs nothing and counts nothing.

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
