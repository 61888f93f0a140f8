//! Parses a webhook's body: a signature and an event. The signature does not cover the event.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::signature::{self, VerifiedSignature};
use crate::http::{
    error::{ErrorCode, ErrorResponse},
    json_body::JsonRequest,
    strict_json,
};

/// A webhook whose signature has not been checked yet.
pub(crate) struct MailgunWebhook {
    signature: Value,
    pub(super) event: Value,
}

impl JsonRequest for MailgunWebhook {
    const SCHEMA: &'static str = "MailgunWebhook";
    const DESCRIPTION: &'static str = "A signed event.";

    fn schema() -> MetaSchema {
        schema()
    }

    fn parse(body: &[u8]) -> Result<Self, ErrorResponse> {
        let mut body = strict_json::parse(body).map_err(|_| not_json())?;
        let mut take = |name: &str| body.get_mut(name).map(Value::take).unwrap_or_default();
        Ok(Self { signature: take("signature"), event: take("event-data") })
    }
}

impl MailgunWebhook {
    /// The signed timestamp and token, or `None` if they were not signed with any of the keys.
    pub(super) fn verify(&self, keys: &[SecretString]) -> Option<VerifiedSignature> {
        signature::verify(&self.signature, keys)
    }

    /// SHA-256 of the event as `serde_json` serialises it, with sorted keys. Equal events have equal digests.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.event.to_string()).into()
    }
}

/// 400: the body is not strict JSON.
pub(crate) fn not_json() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::InvalidJson, "The body is not valid JSON, or contains a field twice.")
}

fn schema() -> MetaSchema {
    let field = |description, ty| {
        MetaSchemaRef::Inline(Box::new(MetaSchema { ty, description: Some(description), ..MetaSchema::ANY }))
    };
    let signature = MetaSchema {
        ty: "object",
        description: Some("Signature made with the domain's webhook signing key."),
        required: vec!["timestamp", "token", "signature"],
        properties: vec![
            ("timestamp", field("When the webhook was signed, in seconds since the Unix epoch.", "string")),
            ("token", field("A random string of 1 to 64 letters and digits.", "string")),
            ("signature", field("HMAC-SHA256 of timestamp and token, in hex.", "string")),
        ],
        ..MetaSchema::ANY
    };
    MetaSchema {
        ty: "object",
        title: Some(MailgunWebhook::SCHEMA.to_owned()),
        description: Some("A webhook as Mailgun posts it. Fields that are not listed here are ignored."),
        required: vec!["signature", "event-data"],
        properties: vec![
            ("signature", MetaSchemaRef::Inline(Box::new(signature))),
            ("event-data", field("The event, in the format of Mailgun's Events API.", "object")),
        ],
        ..MetaSchema::ANY
    }
}
