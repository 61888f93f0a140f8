//! The portals that this api serves. `portal` describes one portal, `list` finds the portal of an origin, `live`
//! contains the settings that SIGHUP reloads, `reload` reloads them, and `warnings` logs likely mistakes in them.
//! `readiness` rejects requests for a new portal until a worker has loaded it.

mod list;
pub(crate) mod live;
#[expect(clippy::module_inception, reason = "the file is named after the type that it defines")]
mod portal;
pub(crate) mod readiness;
pub(crate) mod reload;
pub(crate) mod warnings;

pub(crate) use list::{FoundPortal, PortalList};
pub(crate) use portal::Portal;
