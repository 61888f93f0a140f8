//! Parses the request body. Every problem with a field's type or with the address becomes an issue, so that the
//! response can list them all. The handler checks the callback fields, because this check needs the headers and the
//! settings.

use outbox::{Email, EmailError};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use portals::MAX_ORIGIN_BYTES;
use serde_json::{Map, Value, json};

use crate::{
    callback::next,
    http::{
        error::{ErrorCode, ErrorResponse, ValidationIssue},
        issue_code::IssueCode,
        json_body::JsonRequest,
        strict_json,
    },
};

/// Exactly one `@` with text on both sides. NFKC also turns U+FF20 and U+FE6B into `@`.
const EMAIL_PATTERN: &str = "^[^@\u{ff20}\u{fe6b}]+[@\u{ff20}\u{fe6b}][^@\u{ff20}\u{fe6b}]+$";
/// A scheme, a host, an optional port and an optional trailing slash.
const ORIGIN_PATTERN: &str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\\s]+/?$";
/// Empty, or visible ASCII without backslashes that begins with a letter, a digit, `/`, `_` or `-`.
const NEXT_PATTERN: &str = r"^([A-Za-z0-9_/-][!-\[\]-~]*)?$";

/// The fields of the body. Unknown fields are ignored, and `null` counts as absent for optional fields.
#[derive(Debug)]
pub(crate) struct MagicLinkRequest {
    /// `None` if the address is missing or invalid; `issues` then contains the reason.
    pub(crate) email: Option<Email>,
    /// The portal's origin, which has not been checked yet.
    pub(crate) callback_origin: Option<String>,
    /// The destination inside the portal, which has not been checked yet.
    pub(crate) callback_next: Option<String>,
    /// The person's language, as a BCP 47 tag. An unknown tag is not an error: it counts as absent.
    pub(crate) locale: Option<String>,
    /// The person's time zone, as a name from the tz database. An unknown name is not an error: it counts as absent.
    pub(crate) time_zone: Option<String>,
    /// All problems found so far.
    pub(crate) issues: Vec<ValidationIssue>,
}

impl JsonRequest for MagicLinkRequest {
    const SCHEMA: &'static str = "MagicLinkRequest";
    const DESCRIPTION: &'static str = "The recipient of the link, and the page that it leads to.";

    fn schema() -> MetaSchema {
        schema()
    }

    fn parse(body: &[u8]) -> Result<Self, ErrorResponse> {
        if body.is_empty() {
            return Err(ErrorResponse::new(ErrorCode::InvalidJson, "The request has no body: send a JSON object."));
        }
        let Value::Object(mut fields) = strict_json::parse(body).map_err(|_| not_json())? else {
            let issue = ValidationIssue::new("", IssueCode::BodyNotAnObject, "The body must be a JSON object.");
            return Err(ErrorResponse::with_issues(ErrorCode::InvalidRequest, vec![issue]));
        };
        let mut issues = Vec::new();
        let email = match fields.remove("email") {
            None => Err((IssueCode::EmailRequired, EmailError::Empty.to_string())),
            Some(Value::String(text)) => Email::parse(&text).map_err(|error| (code_of(error), error.to_string())),
            Some(_) => Err((IssueCode::NotAString, "The email address must be a string.".to_owned())),
        };
        let email = email.map_err(|(code, message)| issues.push(ValidationIssue::new("email", code, message))).ok();
        let callback_origin = optional_text(&mut fields, "callback_origin", &mut issues);
        let callback_next = optional_text(&mut fields, "callback_next", &mut issues);
        let locale = optional_text(&mut fields, "locale", &mut issues);
        let time_zone = optional_text(&mut fields, "time_zone", &mut issues);
        Ok(Self { email, callback_origin, callback_next, locale, time_zone, issues })
    }
}

fn code_of(error: EmailError) -> IssueCode {
    match error {
        EmailError::Empty => IssueCode::EmailRequired,
        EmailError::TooLong => IssueCode::EmailTooLong,
        EmailError::Shape => IssueCode::EmailInvalid,
        EmailError::Invisible(_) => IssueCode::EmailInvisibleCharacter,
        EmailError::NonAsciiLocalPart => IssueCode::EmailLocalPartNotAscii,
        EmailError::LongLocalPart => IssueCode::EmailLocalPartTooLong,
        EmailError::Domain => IssueCode::EmailDomainInvalid,
        EmailError::NoDot => IssueCode::EmailDomainWithoutDot,
    }
}

fn optional_text(fields: &mut Map<String, Value>, name: &str, issues: &mut Vec<ValidationIssue>) -> Option<String> {
    match fields.remove(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            issues.push(ValidationIssue::new(name, IssueCode::NotAString, format!("{name} must be a string.")));
            None
        }
    }
}

/// 400: the body is not strict JSON.
pub(crate) fn not_json() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::InvalidJson, "The body is not valid JSON, or contains a field more than once.")
}

/// The schema of the request: the fields of the original api reference with constraints added, and the optional fields
/// `locale` and `time_zone`. Every value that `parse` accepts must meet these constraints: SDKs check values against the
/// schema and refuse to send values that do not match.
fn schema() -> MetaSchema {
    let field = |schema: MetaSchema| MetaSchemaRef::Inline(Box::new(MetaSchema { ty: "string", ..schema }));
    let email = MetaSchema {
        format: Some("email"),
        description: Some(
            "Exactly one address, of at most 254 characters. It is trimmed, normalised (NFKC) and lower-cased. The \
             domain may be written in any script (letters, marks, digits and hyphens) or as punycode, and needs a dot; \
             both spellings are the same address. The part before the `@` consists of at most 64 ASCII characters. \
             Invisible characters are stripped at the ends and refused elsewhere.",
        ),
        min_length: Some(3),
        max_length: Some(Email::MAX_LENGTH),
        pattern: Some(EMAIL_PATTERN.to_owned()),
        example: Some(json!("hello@example.com")),
        ..MetaSchema::ANY
    };
    let callback_origin = MetaSchema {
        format: Some("uri"),
        description: Some(
            "Origin of the portal that the link leads back to: scheme, host and port, without a path. The operator \
             must allow it. If it is absent or null, the `X-AppHandoff-Callback-Origin` header is used. If this header \
             is missing, too, the origin in `Origin` is used if it is allowed, or else the origin of `Referer`.",
        ),
        nullable: true,
        max_length: Some(MAX_ORIGIN_BYTES),
        pattern: Some(ORIGIN_PATTERN.to_owned()),
        example: Some(json!("https://example.com")),
        ..MetaSchema::ANY
    };
    let callback_next = MetaSchema {
        description: Some(
            "Page of the portal to open after sign-in: an absolute path, a path relative to the portal's root \
             (`example` is `/example`), or a URL with the callback origin. Send the page's `location.pathname + \
             location.search`; escapes such as `%20` are fine. The path must not contain encoded slashes (`%2F`), \
             empty segments (`//`), encoded dot segments (`%2E%2E`), encoded format characters, or encoded lookalikes \
             of slashes and dots (U+FF0F, U+3002). Backslashes and control characters are refused everywhere, encoded \
             or not. The issue explains which rule is broken. If the field is absent, null or empty, the link has no \
             `next`. In the link, the value is percent-encoded twice, and may take at most 1,700 characters together \
             with the origin and the path of the callback page: 1,024 letters and digits fit, and a slash takes five \
             characters.",
        ),
        nullable: true,
        max_length: Some(next::MAX_BYTES),
        pattern: Some(NEXT_PATTERN.to_owned()),
        example: Some(json!("example")),
        ..MetaSchema::ANY
    };
    // Set no pattern and no length: the api accepts unknown values, so an SDK must not refuse them.
    let locale = MetaSchema {
        description: Some(
            "The person's language, as a BCP 47 tag: send the language of your page. The mail is written in the \
             closest language that the operator offers. If the field is absent, null or unknown, `Accept-Language` \
             decides.",
        ),
        nullable: true,
        example: Some(json!("de-AT")),
        ..MetaSchema::ANY
    };
    let time_zone = MetaSchema {
        description: Some(
            "Time zone in which the mail shows times, as a name from the tz database: send \
             `Intl.DateTimeFormat().resolvedOptions().timeZone`. If it is absent, null or unknown, the portal's time \
             zone is used, by default UTC.",
        ),
        nullable: true,
        example: Some(json!("Europe/Vienna")),
        ..MetaSchema::ANY
    };
    MetaSchema {
        ty: "object",
        title: Some(MagicLinkRequest::SCHEMA.to_owned()),
        description: Some("The recipient of the link, and the page that it leads to. Unknown fields are ignored."),
        required: vec!["email"],
        properties: vec![
            ("email", field(email)),
            ("callback_origin", field(callback_origin)),
            ("callback_next", field(callback_next)),
            ("locale", field(locale)),
            ("time_zone", field(time_zone)),
        ],
        ..MetaSchema::ANY
    }
}
