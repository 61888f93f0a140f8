//! The page that shows the document.

use super::{json, service};

/// poem-openapi's Swagger UI, which carries its own script and style, with our document in it.
pub(crate) fn html() -> String {
    let service = service();
    // `</` could end the script that the document stands in; in JSON `<\/` is the same.
    let document = json().replace("</", "<\\/");
    let html = service.swagger_ui_html().replace(&service.spec(), &document);
    format!("<!doctype html>{}", html.replace("<title>Swagger UI</title>", "<title>Magic links</title>"))
}
