//! The confirm page, `/auth/confirm/{payload}`. A mail's link leads to this page, and the button on the page leads to
//! Supabase's verify address. A mail scanner that opens the link therefore does not use up Supabase's token.
//!
//! GET and HEAD change nothing, no matter how many such requests arrive. POST redirects the browser to Supabase, which
//! uses up the token. The link's destination is part of the payload. The payload is authenticated (crate `confirm`), so
//! no request parameter can change the destination. `handler` answers the requests, `page` and `page_words` render the
//! responses, `assets` serves the style and the script, and `foreign` recognises POSTs from other sites.

mod assets;
mod foreign;
mod handler;
mod page;
mod page_words;
mod settings;

pub(crate) use handler::ConfirmPage;
pub(crate) use settings::ConfirmSettings;
