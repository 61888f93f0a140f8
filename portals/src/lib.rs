//! The portals of a deployment: where each portal's links may lead, and who its mails come from.
//!
//! [`read_file`] reads `PORTALS_FILE`, which both programs share, and reports faults with their line numbers.
//! [`AllowedOrigins`] lists the origins that links may lead back to, and [`NextPrefixes`] lists the paths. A deployment
//! without the file has one portal, which the environment variables configure.

mod allowed_origins;
mod colour;
mod fields;
mod file;
mod id;
mod logo;
mod name;
mod next_prefixes;
mod origin;
mod portal;
mod portal_origin;
mod rules;
mod sender;
mod style;
mod support;

pub use allowed_origins::AllowedOrigins;
pub use colour::Colour;
pub use file::{MAX_PORTALS, read_file};
pub use id::{DEFAULT_PORTAL, PortalId};
pub use logo::{Logo, LogoProblem};
pub use name::PortalName;
pub use next_prefixes::{NextPrefixes, parse_path};
pub use origin::{MAX_ORIGIN_BYTES, Origin};
pub use portal::Portal;
pub use portal_origin::PortalOrigin;
pub use rules::PortalRules;
pub use sender::{address_of_sender, parse_sender};
pub use style::{LinkStyleName, MailCode};
pub use support::Support;
pub use words::Fault;
