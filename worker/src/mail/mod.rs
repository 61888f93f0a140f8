//! The mail: `render` writes its subject and bodies, and `link_seal` encrypts the links that are stored in the outbox.

pub(crate) mod link_seal;
pub(crate) mod render;
