//! The response headers that the OpenAPI document lists.

use poem_openapi::registry::{MetaHeader, MetaSchema, MetaSchemaRef};
use serde_json::json;

/// A response header in the document. Every value is documented as a string.
pub(crate) struct DocumentedHeader {
    name: &'static str,
    description: &'static str,
    /// Regular expression for the value; `None` if the description is enough.
    pattern: Option<&'static str>,
    example: &'static str,
    /// Whether every response that is documented with this header has it.
    always: bool,
}

/// Sent with 429 and 503.
pub(crate) const RETRY_AFTER: DocumentedHeader = DocumentedHeader {
    name: "Retry-After",
    description: "Seconds to wait before the next try: a whole number, at least 1.",
    pattern: Some("^[1-9][0-9]*$"),
    example: "30",
    always: true,
};
/// Sent with 200, and with 429 if the IP rate limit is exceeded (draft-ietf-httpapi-ratelimit-headers).
pub(crate) const RATE_LIMIT: DocumentedHeader = DocumentedHeader {
    name: "RateLimit",
    description: "How many requests the caller's network can still make without waiting (`r`), and the seconds until \
                  it can make one more (`t`).",
    pattern: Some(RATE_LIMIT_PATTERN),
    example: "\"ip\";r=29;t=2",
    always: true,
};
/// Sent with 200, and with 429 if the IP rate limit is exceeded (draft-ietf-httpapi-ratelimit-headers).
pub(crate) const RATE_LIMIT_POLICY: DocumentedHeader = DocumentedHeader {
    name: "RateLimit-Policy",
    description: "The quota of the caller's network (`q`), and its window in seconds (`w`).",
    pattern: Some(RATE_LIMIT_POLICY_PATTERN),
    example: "\"ip\";q=30;w=60",
    always: true,
};
/// Sent with 429, except when a recipient's limit is exceeded: the header would then reveal how often others request
/// links for the address.
pub(crate) const EXCEEDED_RATE_LIMIT: DocumentedHeader = DocumentedHeader {
    description: "Sent only with `ip_rate_limited`: `r` is 0, and `t` is the number of seconds until the next request \
                  is allowed.",
    example: "\"ip\";r=0;t=30",
    always: false,
    ..RATE_LIMIT
};
/// Sent with 429 if the IP rate limit is exceeded.
pub(crate) const EXCEEDED_RATE_LIMIT_POLICY: DocumentedHeader = DocumentedHeader {
    description: "Sent only with `ip_rate_limited`: the quota of the caller's network (`q`), and its window in seconds \
                  (`w`).",
    always: false,
    ..RATE_LIMIT_POLICY
};
const RATE_LIMIT_PATTERN: &str = "^\"ip\";r=[0-9]+;t=[1-9][0-9]*$";
const RATE_LIMIT_POLICY_PATTERN: &str = "^\"ip\";q=[1-9][0-9]*;w=[1-9][0-9]*$";
/// Sent with 415 for a compressed body (RFC 9110 §12.5.3).
pub(crate) const ACCEPT_ENCODING: DocumentedHeader = DocumentedHeader {
    name: "Accept-Encoding",
    description: "The content codings that are accepted. Sent only if the request body was compressed.",
    pattern: None,
    example: "identity",
    always: false,
};
/// Sent with 405.
pub(crate) const ALLOW: DocumentedHeader = DocumentedHeader {
    name: "Allow",
    description: "The methods that this path allows.",
    pattern: None,
    example: "POST, OPTIONS",
    always: true,
};
/// Sent with every response.
pub(crate) const REQUEST_ID: DocumentedHeader = DocumentedHeader {
    name: "X-Request-Id",
    description: "Identifies the request in the operator's log: the caller's own `X-Request-Id` if it is valid, or a \
                  new one.",
    pattern: Some("^[A-Za-z0-9._-]{1,64}$"),
    example: "019366a0-5c5e-7d6e-9f5b-3f1c2a7b8d90",
    always: true,
};

impl DocumentedHeader {
    /// Describes the header for poem-openapi's registry.
    pub(crate) fn meta(&self) -> MetaHeader {
        let pattern = self.pattern.map(str::to_owned);
        let example = Some(json!(self.example));
        MetaHeader {
            name: self.name.to_owned(),
            description: Some(self.description.to_owned()),
            required: self.always,
            deprecated: false,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema { pattern, example, ..MetaSchema::new("string") })),
        }
    }
}
