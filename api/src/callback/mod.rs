//! Where a link leads after sign-in: which origin a request names (`source`), whether it is allowed
//! (`allowed_origins`), and the place inside the portal (`next`).

pub(crate) mod allowed_origins;
pub(crate) mod next;
pub(crate) mod origin;
pub(crate) mod source;
