//! The sign-in mail. `link_parts` defines the parts of a link, `link_form` chooses what the link leads to, `link_url`
//! builds the link, and `link_seal` encrypts the parts for the outbox. `mailed_link` defines what the mail shows of the
//! link. `render` writes the mail's subject and bodies: `look` contains the words and the compiled `templates`,
//! `variables` defines what templates can use, `mail_words` fills in messages, and `markup` and `wrap` format the
//! messages. `portal_host` chooses the host to show. `prerendered_mails` caches mails without their links and codes
//! (`prerendered`) if the templates allow this (`template_uses`).

pub mod brand;
mod check;
mod check_html;
#[cfg(test)]
mod check_tests;
pub(crate) mod format_characters;
pub(crate) mod link_form;
pub(crate) mod link_parts;
pub(crate) mod link_seal;
pub(crate) mod link_url;
pub(crate) mod look;
pub mod look_set;
pub(crate) mod looks;
mod mail_words;
pub(crate) mod mailed_link;
pub(crate) mod markup;
pub(crate) mod portal_host;
mod prerendered;
mod prerendered_mails;
#[cfg(test)]
mod prerendered_tests;
pub(crate) mod render;
pub mod sample;
mod template_folder;
mod template_references;
mod template_uses;
pub(crate) mod templates;
mod variables;
mod wrap;
