//! HTTP code that both endpoints share: reading request bodies, request ids, the error object, documented responses
//! and headers, and the endpoints' paths.

pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod issue_code;
pub(crate) mod json_body;
pub(crate) mod paths;
pub(crate) mod render_errors;
pub(crate) mod request_context;
pub(crate) mod response_headers;
pub(crate) mod responses;
pub(crate) mod retry_after;
pub(crate) mod single_header;
pub(crate) mod strict_json;
