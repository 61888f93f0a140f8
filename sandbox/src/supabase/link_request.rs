//! The body of generate_link, with the error messages of Go's JSON decoder.

use super::answer::AuthError;
use poem::http::StatusCode;
use serde_json::{Map, Value};

/// The fields that the stand-in uses. A missing field is empty. Unknown fields are ignored.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkRequest {
    pub(super) kind: String,
    pub(super) email: String,
    pub(super) redirect_to: String,
    pub(super) data: Map<String, Value>,
}

const MAX_BODY: usize = 1_048_576;

impl LinkRequest {
    /// Parses the body. Errors have the wording of Go's JSON decoder.
    pub(super) fn parse(body: &[u8]) -> Result<LinkRequest, AuthError> {
        if body.len() > MAX_BODY {
            let message = format!("Request body too large (max {MAX_BODY} bytes)");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(AuthError::new(status, "request_entity_too_large", &message));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => LinkRequest::from_fields(&fields),
            Ok(other) => Err(bad_json(&format!(
                "json: cannot unmarshal {} into Go value of type api.GenerateLinkParams",
                go_type(&other)
            ))),
            Err(error) if error.is_eof() => Err(bad_json("unexpected end of JSON input")),
            Err(_) => Err(bad_json("invalid character in JSON input")),
        }
    }

    fn from_fields(fields: &Map<String, Value>) -> Result<LinkRequest, AuthError> {
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(wrong_type(name, other, "string")),
        };
        let data = match fields.get("data") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(data)) => data.clone(),
            Some(other) => return Err(wrong_type("data", other, "map[string]interface {}")),
        };
        Ok(LinkRequest { kind: text("type")?, email: text("email")?, redirect_to: text("redirect_to")?, data })
    }
}

fn bad_json(why: &str) -> AuthError {
    let message = format!("Could not parse request body as JSON: {why}");
    AuthError::new(StatusCode::BAD_REQUEST, "bad_json", &message)
}

fn wrong_type(field: &str, value: &Value, wanted: &str) -> AuthError {
    bad_json(&format!(
        "json: cannot unmarshal {} into Go struct field GenerateLinkParams.{field} of type {wanted}",
        go_type(value)
    ))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
