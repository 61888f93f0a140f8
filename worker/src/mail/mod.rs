//! The mail. `link_parts` is what a link consists of, `link_form` chooses what it leads to, `link_url` builds its text, and
//! `link_seal` encrypts its parts for the outbox. `mailed_link` is what the mail shows of the link. `render` writes the mail's
//! subject and bodies with `mail_words` and `wrap`, and `portal_host` chooses the host that they show.

pub(crate) mod link_form;
pub(crate) mod link_parts;
pub(crate) mod link_seal;
pub(crate) mod link_url;
mod mail_words;
pub(crate) mod mailed_link;
pub(crate) mod portal_host;
pub(crate) mod render;
mod wrap;
