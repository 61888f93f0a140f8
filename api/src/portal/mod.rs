//! The portals that this api serves. `portal` is one of them, `list` finds the portal of an origin, `live` holds the settings
//! that SIGHUP reloads, and `readiness` rejects requests for a new portal until a worker knows it.

mod list;
pub(crate) mod live;
#[expect(clippy::module_inception, reason = "the type that the module is about")]
mod portal;
pub(crate) mod readiness;
pub(crate) mod reload;
pub(crate) mod warnings;

pub(crate) use list::{FoundPortal, PortalList};
pub(crate) use portal::Portal;
