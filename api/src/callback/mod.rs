//! Determines where a link redirects to after sign-in. `source` finds the origin that a request specifies, `next`
//! parses the destination inside the portal, and `url` builds the callback URL. `refused_origins` logs origins that are
//! not allowed.
//!
//! Any of this input may be hostile. A link must never redirect to another site.

pub(crate) mod next;
pub(crate) mod refused_origins;
pub(crate) mod source;
pub(crate) mod url;
