//! Where the endpoint is: what is limited, logged and answered in its way.

/// The path, as the published reference has it below the server's `/api`.
pub(crate) const PATH: &str = "/api/auth/send-magic-link";
