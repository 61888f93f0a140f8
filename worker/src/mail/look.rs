//! Everything, apart from the job, that determines how a mail looks: the words, the templates and the portal's brand.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use sha2::{Digest as _, Sha256};
use words::{Language, Words};

use super::{
    brand::{Brand, BrandValues},
    prerendered_mails::PrerenderedMails,
    render::TEMPLATE,
    templates::{TemplateSource, Templates},
};

/// The look of a portal's mails. Threads can share a look.
pub(crate) struct Look {
    /// The words of every language in which mails can be written.
    pub(crate) words: Words,
    pub(crate) brand: Arc<Brand>,
    pub(super) brand_values: Arc<BrandValues>,
    templates: HashMap<Language, Arc<Templates>>,
    id: String,
    /// Rendered mails of this look, without their links and codes.
    pub(super) prerendered: PrerenderedMails,
}

impl Look {
    /// A look with the built-in templates.
    #[cfg(test)]
    pub(crate) fn built_in(words: Words, brand: Brand) -> Self {
        let templates = words.offered().into_iter().map(|language| (language, Templates::built_in())).collect();
        Self::new(words, brand, templates)
    }

    /// Creates a look. A language that is missing from `templates` uses the built-in templates.
    pub(crate) fn new(words: Words, brand: Brand, templates: HashMap<Language, Arc<Templates>>) -> Self {
        let id = id(&words, &brand, &templates);
        let (brand_values, prerendered) = (Arc::new(BrandValues::new(&brand)), PrerenderedMails::default());
        Self { words, brand: Arc::new(brand), brand_values, templates, id, prerendered }
    }

    /// 16 hexadecimal digits. Looks with the same id produce the same mails.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The templates for a language, or the built-in templates if the look has no templates for that language.
    pub(crate) fn templates(&self, language: Language) -> Arc<Templates> {
        self.templates.get(&language).map_or_else(Templates::built_in, Arc::clone)
    }
}

/// The first 8 bytes of the SHA-256 hash of everything that determines how a mail looks. Each part is preceded by its
/// length, so that two different looks never produce the same input to the hash.
fn id(words: &Words, brand: &Brand, templates: &HashMap<Language, Arc<Templates>>) -> String {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    };
    add(&[TEMPLATE]);
    for (language, text) in words.operators_texts() {
        add(language.tag().as_bytes());
        add(text.as_bytes());
    }
    for language in words.offered() {
        add(language.tag().as_bytes());
        for TemplateSource { name, text, .. } in templates.get(&language).iter().flat_map(|set| set.sources()) {
            add(name.as_bytes());
            add(text.as_bytes());
        }
    }
    let Brand { portal, name, colour, logo, support, from, reply_to, languages: _ } = brand;
    let texts = [
        portal.clone(),
        name.as_ref().map(ToString::to_string),
        colour.as_ref().map(ToString::to_string),
        support.as_ref().map(|support| support.href()),
        from.clone(),
        reply_to.clone(),
    ];
    for text in texts {
        add(text.as_ref().map_or(&[][..], |text| text.as_bytes()));
    }
    add(logo.as_ref().map_or(&[][..], |logo| logo.bytes()));
    let mut id = String::with_capacity(16);
    for byte in &digest.finalize()[..8] {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}
