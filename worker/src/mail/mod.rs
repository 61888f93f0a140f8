//! The mail: `render` writes its subject and bodies, `portal_host` finds what it calls the portal, and `link_seal` encrypts the
//! links that are stored in the outbox.

pub(crate) mod link_seal;
pub(crate) mod portal_host;
pub(crate) mod render;
