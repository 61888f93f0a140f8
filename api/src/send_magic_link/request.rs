//! The request's body, as far as it can be judged by itself: its fields, and all that is wrong with their types.
//!
//! poem-openapi's own payload stops at the first problem, names no field and takes numbers for strings.

use outbox::Email;
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
};
use serde_json::{Map, Value, json};

use crate::{
    callback::{next, origin},
    http::{
        error::{ErrorCode, ErrorResponse, ValidationIssue},
        json,
        json_body::{self, CONTENT_TYPE},
    },
};

const SCHEMA: &str = "MagicLinkRequest";
/// One `@`, with something on both sides. The two others become one when the address is normalised.
const EMAIL: &str = "^[^@\u{ff20}\u{fe6b}]+[@\u{ff20}\u{fe6b}][^@\u{ff20}\u{fe6b}]+$";
/// Scheme, host and port.
pub(crate) const ORIGIN: &str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\\s]+/?$";
/// Nothing, or ASCII without blanks and backslashes that begins like a path or a name.
const NEXT: &str = r"^([A-Za-z0-9_/-][!-\[\]-~]*)?$";

/// What the caller sent. Unknown fields are ignored; null for an optional field is as if absent.
#[derive(Debug)]
pub(crate) struct MagicLinkRequest {
    /// Whom to mail; none where an issue says why.
    pub(crate) email: Option<Email>,
    /// The portal's origin, not yet looked at.
    pub(crate) callback_origin: Option<String>,
    /// The place inside the portal, not yet looked at.
    pub(crate) callback_next: Option<String>,
    /// All that is wrong so far.
    pub(crate) issues: Vec<ValidationIssue>,
}

impl MagicLinkRequest {
    /// Reads the fields of a body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ErrorResponse> {
        if body.is_empty() {
            return Err(ErrorResponse::new(ErrorCode::InvalidJson, "The request has no body: send a JSON object."));
        }
        let Value::Object(mut fields) = json::parse(body).map_err(|_| not_json())? else {
            let issue = ValidationIssue::new("", "The body must be a JSON object.");
            return Err(ErrorResponse::invalid(ErrorCode::InvalidRequest, vec![issue]));
        };
        let mut issues = Vec::new();
        let email = match fields.remove("email") {
            None => Err("Enter an email address.".to_owned()),
            Some(Value::String(text)) => Email::parse(&text).map_err(|error| error.to_string()),
            Some(_) => Err("The email address must be a string.".to_owned()),
        };
        let email = email.map_err(|message| issues.push(ValidationIssue::new("email", message))).ok();
        let callback_origin = optional_text(&mut fields, "callback_origin", &mut issues);
        let callback_next = optional_text(&mut fields, "callback_next", &mut issues);
        Ok(Self { email, callback_origin, callback_next, issues })
    }
}

fn optional_text(fields: &mut Map<String, Value>, name: &str, issues: &mut Vec<ValidationIssue>) -> Option<String> {
    match fields.remove(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            issues.push(ValidationIssue::new(name, format!("{name} must be a string.")));
            None
        }
    }
}

impl<'a> ApiExtractor<'a> for MagicLinkRequest {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(SCHEMA.to_owned(), |_| schema());
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchemaRef::Reference(SCHEMA.to_owned());
        let content = vec![MetaMediaType { content_type: CONTENT_TYPE, schema }];
        Some(MetaRequest { description: Some("Whom to mail, and where the link leads."), content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::parse(&json_body::bytes(request)?)?)
    }
}

/// 400: the bytes are no JSON.
pub(crate) fn not_json() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::InvalidJson, "The body is not valid JSON, or names a field more than once.")
}

/// The fields as the published reference states them, and what else is asked of them: no more than what holds for
/// every value that is taken, since SDKs refuse the others before they are sent.
fn schema() -> MetaSchema {
    let field = |schema: MetaSchema| MetaSchemaRef::Inline(Box::new(MetaSchema { ty: "string", ..schema }));
    let email = MetaSchema {
        format: Some("email"),
        description: Some(
            "Exactly one address, of at most 254 characters. It is trimmed, normalised (NFKC) and lower-cased.",
        ),
        min_length: Some(3),
        max_length: Some(Email::MAX_LENGTH),
        pattern: Some(EMAIL.to_owned()),
        example: Some(json!("hello@example.com")),
        ..MetaSchema::ANY
    };
    let callback_origin = MetaSchema {
        format: Some("uri"),
        description: Some(
            "Origin of the portal that the link leads back to: scheme, host and port, without a path. It must be one \
             that the operator allows. Absent or null: the header `X-AppHandoff-Callback-Origin` counts, else \
             `Origin`, else the origin of `Referer`.",
        ),
        nullable: true,
        max_length: Some(origin::MAX_BYTES),
        pattern: Some(ORIGIN.to_owned()),
        example: Some(json!("https://example.com")),
        ..MetaSchema::ANY
    };
    let callback_next = MetaSchema {
        description: Some(
            "Place inside the portal to go to after sign-in: an absolute path, a path relative to the portal's root \
             (`example` is `/example`), or a URL of the callback origin itself. Absent, null or empty: the link \
             carries no `next`.",
        ),
        nullable: true,
        max_length: Some(next::MAX_BYTES),
        pattern: Some(NEXT.to_owned()),
        example: Some(json!("example")),
        ..MetaSchema::ANY
    };
    MetaSchema {
        ty: "object",
        title: Some(SCHEMA.to_owned()),
        description: Some("Whom to mail, and where the link leads. Unknown fields are ignored."),
        required: vec!["email"],
        properties: vec![
            ("email", field(email)),
            ("callback_origin", field(callback_origin)),
            ("callback_next", field(callback_next)),
        ],
        ..MetaSchema::ANY
    }
}
