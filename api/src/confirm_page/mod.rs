//! The confirm page, `/auth/confirm/{word}`: a button between a mail's link and Supabase's verify address, so that a mail
//! scanner that opens the link does not use it up.
//!
//! GET and HEAD change nothing, no matter how many arrive. POST redirects the browser to Supabase, which uses up the token.
//! Where the link leads is part of the word, which is authenticated (crate `confirm`), so no request parameter can change it.
//! `handler` decides, `page` renders with `page_words`, `assets` serves the style and the script, `foreign` recognises posts
//! from other sites.

mod assets;
mod foreign;
mod handler;
mod page;
mod page_words;
mod settings;

pub(crate) use handler::ConfirmPage;
pub(crate) use settings::ConfirmSettings;
