//! The mail. `link_parts` defines the parts of a link, `link_form` chooses what the link leads to, `link_url` builds the link,
//! and `link_seal` encrypts the parts for the outbox. `mailed_link` defines what the mail shows of the link. `render` writes
//! the mail's subject and bodies with `mail_words` and `wrap`, and `portal_host` chooses the host to show.

pub(crate) mod link_form;
pub(crate) mod link_parts;
pub(crate) mod link_seal;
pub(crate) mod link_url;
mod mail_words;
pub(crate) mod mailed_link;
pub(crate) mod portal_host;
pub(crate) mod render;
mod wrap;
