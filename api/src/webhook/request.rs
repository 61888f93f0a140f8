//! A webhook's body: a signature, and an event that it does not cover.

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
};
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::signature::{self, Signed};
use crate::http::{
    error::{ErrorCode, ErrorResponse},
    json,
    json_body::{self, CONTENT_TYPE},
};

const SCHEMA: &str = "MailgunWebhook";

/// What was posted. Nothing of it is believed yet.
pub(crate) struct Webhook {
    signature: Value,
    pub(super) event: Value,
}

impl Webhook {
    fn parse(body: &[u8]) -> Result<Self, ErrorResponse> {
        let mut body = json::parse(body).map_err(|_| not_json())?;
        let mut part = |name: &str| body.get_mut(name).map(Value::take).unwrap_or_default();
        Ok(Self { signature: part("signature"), event: part("event-data") })
    }

    /// What was signed, if one of the keys signed it.
    pub(super) fn verify(&self, keys: &[SecretString]) -> Option<Signed> {
        signature::verify(&self.signature, keys)
    }

    /// SHA-256 of the event, in the one form in which `serde_json` writes it: keys in their order.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.event.to_string()).into()
    }
}

impl<'a> ApiExtractor<'a> for Webhook {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(SCHEMA.to_owned(), |_| schema());
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchemaRef::Reference(SCHEMA.to_owned());
        let content = vec![MetaMediaType { content_type: CONTENT_TYPE, schema }];
        Some(MetaRequest { description: Some("A signed event."), content, required: true })
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
    ErrorResponse::new(ErrorCode::InvalidJson, "The body is not valid JSON, or names a field twice.")
}

fn schema() -> MetaSchema {
    let field = |description, ty| {
        MetaSchemaRef::Inline(Box::new(MetaSchema { ty, description: Some(description), ..MetaSchema::ANY }))
    };
    let signature = MetaSchema {
        ty: "object",
        description: Some("By the domain's webhook signing key."),
        required: vec!["timestamp", "token", "signature"],
        properties: vec![
            ("timestamp", field("Seconds since 1970, when it was signed.", "string")),
            ("token", field("Random: at most 64 letters and digits.", "string")),
            ("signature", field("HMAC-SHA256 over timestamp and token, in hex.", "string")),
        ],
        ..MetaSchema::ANY
    };
    MetaSchema {
        ty: "object",
        title: Some(SCHEMA.to_owned()),
        description: Some("A webhook as Mailgun posts it. Fields besides are ignored."),
        required: vec!["signature", "event-data"],
        properties: vec![
            ("signature", MetaSchemaRef::Inline(Box::new(signature))),
            ("event-data", field("The event, in the shape of Mailgun's Events API.", "object")),
        ],
        ..MetaSchema::ANY
    }
}
