//! Defaults that the OpenAPI document also contains.

pub(crate) const IP_RATE_LIMIT: &str = "30/1m";
pub(crate) const RECIPIENT_RATE_LIMIT: &str = "10/15m,30/1d";
pub(crate) const RECIPIENT_CLIENT_RATE_LIMIT: &str = "3/15m,10/1d";
pub(crate) const DUPLICATE_WINDOW: &str = "10s";
pub(crate) const JOB_DEADLINE: &str = "15m";
pub(crate) const LINK_LIFETIME: &str = "1h";
