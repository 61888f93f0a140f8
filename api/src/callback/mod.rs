//! Where a link leads after sign-in: the origin that a request names (`source`), the allow list (`allowed_origins`, of `portal`s),
//! the destination inside the portal (`next`), and the URL built from them (`url`). What a request sends may be hostile:
//! a link must never lead to another site.

pub(crate) mod allowed_origins;
pub(crate) mod next;
pub(crate) mod origin;
pub(crate) mod portal;
pub(crate) mod refused_origins;
pub(crate) mod source;
pub(crate) mod url;
