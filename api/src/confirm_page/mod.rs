//! The confirm page, `/auth/confirm/{word}`: a button between a mail's link and Supabase's verify address, so that a mail
//! scanner that opens the link does not use it up.
//!
//! GET and HEAD change nothing, however often they come. POST redirects the browser to Supabase, which spends the token. The
//! word is authenticated (crate `confirm`), so no parameter steers the page. `handler` decides, `page` renders with
//! `page_words`, `assets` serves the style and the script, `foreign` recognises posts from other sites.

mod assets;
mod foreign;
mod handler;
mod page;
mod page_words;
mod settings;

pub(crate) use handler::ConfirmPage;
pub(crate) use settings::ConfirmSettings;
