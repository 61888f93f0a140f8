//! The mail. `render` writes its subject and bodies, `portal_host` chooses the host that it shows, and `link_seal` encrypts the
//! links that are stored in the outbox.

pub(crate) mod link_seal;
pub(crate) mod portal_host;
pub(crate) mod render;
