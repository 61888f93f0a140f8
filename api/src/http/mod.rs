//! HTTP as every endpoint shares it: request bodies and ids, the error object, headers, and where the endpoints are.

pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod headers;
pub(crate) mod json;
pub(crate) mod json_body;
pub(crate) mod paths;
pub(crate) mod request_id;
pub(crate) mod responses;
pub(crate) mod retry_after;
pub(crate) mod single_header;
