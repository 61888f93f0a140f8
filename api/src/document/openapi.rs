//! Generates the OpenAPI document from the code.
//!
//! Everything that poem-openapi cannot express is added to the generated JSON here. The JSON and YAML routes, the page
//! and `magic-link-api openapi` therefore all use the same document.

use poem_openapi::{ContactObject, LicenseObject, OpenApiService, ServerObject};
use serde_json::{Value, json};

use super::{
    PublishedLimits, examples,
    pointers::{SEND_MAGIC_LINK, set},
};
use crate::{callback::source, send_magic_link::handler::SendMagicLinkApi, webhook::handler::WebhookApi};

const GUIDE: &str = include_str!("guide.md");

/// Creates the service with both endpoints, for routing and for the document. `limits` are the limits that the guide
/// lists.
pub(crate) fn service(limits: &PublishedLimits) -> OpenApiService<(SendMagicLinkApi, WebhookApi), ()> {
    // OpenAPI 3.0 allows only one licence URL. This is the URL of the first of our two licences.
    let license = LicenseObject::new(env!("CARGO_PKG_LICENSE")).url("https://www.apache.org/licenses/LICENSE-2.0");
    // The URL is relative, because the operator's host name is not known here.
    let server = ServerObject::new("/api").description("The server that this document comes from.");
    OpenApiService::new((SendMagicLinkApi, WebhookApi), "Magic links", env!("CARGO_PKG_VERSION"))
        .description(limits.fill_in(GUIDE))
        .contact(ContactObject::new().name("The operator of this server"))
        .license(license)
        .server(server)
}

/// The document as indented JSON with a final line break.
///
/// # Panics
/// Never panics: poem-openapi writes valid JSON.
#[must_use]
pub fn json(limits: &PublishedLimits) -> String {
    format!("{:#}\n", value(limits))
}

/// The document as YAML.
///
/// # Panics
/// Never panics: every JSON value can be written as YAML.
#[must_use]
pub fn yaml(limits: &PublishedLimits) -> String {
    serde_yaml::to_string(&value(limits)).expect("JSON can be written as YAML")
}

fn value(limits: &PublishedLimits) -> Value {
    let mut document: Value = serde_json::from_str(&service(limits).spec()).expect("poem-openapi writes JSON");
    use_plain_references(&mut document);
    // An empty list means that no operation needs credentials. Without the list, readers could not tell whether
    // operations need credentials.
    document["security"] = json!([]);
    add_header_parameter(&mut document);
    examples::add(&mut document);
    document
}

/// Replaces each `allOf` with a plain reference. poem-openapi writes a described field of a named type as `allOf` with
/// the type and the description, and code generators then create a second type for the field. The named type has its
/// own description anyway.
fn use_plain_references(value: &mut Value) {
    if let Some(reference) = value.pointer("/allOf/0/$ref").cloned() {
        *value = json!({ "$ref": reference });
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(use_plain_references),
        Value::Object(fields) => fields.values_mut().for_each(use_plain_references),
        _ => {}
    }
}

/// Documents the header that can contain the callback origin. The header is not a parameter in the code, because
/// poem-openapi would read only the first of several values, and `source` must see all of them. The schema has no
/// constraints: if the body contains the origin, the header is ignored, so any value is allowed.
fn add_header_parameter(document: &mut Value) {
    let parameter = json!({
        "name": source::CALLBACK_ORIGIN_HEADER,
        "in": "header",
        "required": false,
        "description": "Origin of the portal that the link leads back to. It is used only if the body has no \
                        `callback_origin`, and must then be an origin that the operator allows.",
        "schema": { "type": "string" },
        "example": "https://example.com",
    });
    set(document, SEND_MAGIC_LINK, "parameters", json!([parameter]));
}
