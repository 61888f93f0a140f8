//! The OpenAPI document, from the code.
//!
//! What poem-openapi cannot say is added to its JSON here, in one place, so that what is served as JSON and as
//! YAML, the page (`page`) and `magic-link-api openapi` are the same.

use poem_openapi::{ContactObject, LicenseObject, OpenApiService, ServerObject};
use serde_json::{Value, json};

use super::{
    examples,
    pointers::{OPERATION, set},
};
use crate::{callback::source, send_magic_link::handler::Api, webhook::handler::Webhooks};

const GUIDE: &str = include_str!("guide.md");

/// The service that poem routes to, and that the document is made from.
pub(crate) fn service() -> OpenApiService<(Api, Webhooks), ()> {
    // OpenAPI 3.0 has one licence, and one address for it: whoever takes the other finds it beside this one.
    let license = LicenseObject::new(env!("CARGO_PKG_LICENSE")).url("https://www.apache.org/licenses/LICENSE-2.0");
    // Relative: who runs the service decides where it is, and the document comes from there.
    let server = ServerObject::new("/api").description("The server that this document comes from.");
    OpenApiService::new((Api, Webhooks), "Magic links", env!("CARGO_PKG_VERSION"))
        .description(GUIDE)
        .contact(ContactObject::new().name("The operator of this server"))
        .license(license)
        .server(server)
}

/// The document as JSON text, with a line break at its end.
///
/// # Panics
/// Never: what poem-openapi writes is JSON.
#[must_use]
pub fn json() -> String {
    format!("{:#}\n", value())
}

/// The document as YAML text.
///
/// # Panics
/// Never: whatever is JSON can be written as YAML.
#[must_use]
pub fn yaml() -> String {
    serde_yaml::to_string(&value()).expect("JSON can be written as YAML")
}

fn value() -> Value {
    let mut document: Value = serde_json::from_str(&service().spec()).expect("poem-openapi writes JSON");
    use_plain_references(&mut document);
    // No operation takes a credential: an empty list says so, where a missing one says nothing.
    document["security"] = json!([]);
    add_header_parameter(&mut document);
    examples::add(&mut document);
    document
}

/// A described field of a named type comes as `allOf` of the type and the description. Generators make a second
/// type of that; the named one has its own description.
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

/// The header that may name the callback origin. The handler reads it itself, since it must see every line of it.
/// Nothing is asked of it by itself: it is not looked at where the body names the origin.
fn add_header_parameter(document: &mut Value) {
    let parameter = json!({
        "name": source::HEADER,
        "in": "header",
        "required": false,
        "description": "Origin of the portal that the link leads back to, where the body has no `callback_origin`: \
                        then it must be one that the operator allows. Otherwise it is not looked at.",
        "schema": { "type": "string" },
        "example": "https://example.com",
    });
    set(document, OPERATION, "parameters", json!([parameter]));
}
