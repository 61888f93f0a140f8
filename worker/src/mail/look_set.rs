//! The looks of all portals, read and checked together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use words::{Fault, Language, PORTALS_FOLDER, Words, WordsFolder};

use super::{
    brand::Brand, check::Findings, look::Look, template_folder::TemplateFolder, template_references::references,
    templates::Templates,
};

/// The looks of all portals. Clones share the looks.
#[derive(Clone)]
pub struct LookSet {
    common: Arc<Look>,
    portals: BTreeMap<String, Arc<Look>>,
}

impl LookSet {
    /// Reads the `MAIL_TEMPLATES` folder, and checks example mails of each portal in each language. If the setting is
    /// missing or blank, the built-in words and templates are used. Brands without a portal id are ignored.
    ///
    /// # Errors
    /// All faults found in the files.
    pub fn read(folder: Option<&str>, brands: &[Brand]) -> Result<Self, Vec<Fault>> {
        let folder = folder.map(str::trim).filter(|folder| !folder.is_empty()).map(Path::new);
        let words = folder.map_or_else(|| WordsFolder::from_setting(None), WordsFolder::read);
        let ids: BTreeSet<&str> = brands.iter().filter_map(|brand| brand.portal.as_deref()).collect();
        let (templates, faults) = folder.map(|folder| TemplateFolder::read(folder, &ids)).unwrap_or_default();
        let words = match words {
            Ok(words) => words,
            Err(found) => return Err(sorted(found.into_iter().chain(faults))),
        };
        let mut builder =
            LookBuilder { templates: &templates, compiled: HashMap::new(), findings: Findings::default() };
        faults.into_iter().for_each(|fault| builder.findings.add(fault));
        let common = builder.build(&words.common, Brand::default());
        let mut portals = BTreeMap::new();
        for brand in brands {
            if let Some(id) = &brand.portal {
                portals.insert(id.clone(), builder.build(words.of_portal(id), brand.clone()));
            }
        }
        builder.findings.into_result(Self { common, portals })
    }

    /// Reads the `MAIL_TEMPLATES` folder without any portals. Fails if there are faults, but leaves out those in the
    /// `portals` subfolder.
    ///
    /// # Errors
    /// All faults found in the other files. The list is empty if only the `portals` subfolder has faults.
    pub(crate) fn read_common(folder: Option<&str>) -> Result<Self, Vec<Fault>> {
        let of_portals = folder.map(|folder| Path::new(folder.trim()).join(PORTALS_FOLDER));
        let is_common =
            |fault: &Fault| of_portals.as_ref().is_none_or(|path| !Path::new(&fault.file).starts_with(path));
        Self::read(folder, &[]).map_err(|faults| faults.into_iter().filter(is_common).collect())
    }

    /// Whether any portal has its own look.
    pub(crate) fn has_portals(&self) -> bool {
        !self.portals.is_empty()
    }

    /// The look of a portal, or the common look if `portal` is `None` or not configured.
    pub(crate) fn of_portal(&self, portal: Option<&str>) -> &Arc<Look> {
        portal.and_then(|id| self.portals.get(id)).unwrap_or(&self.common)
    }

    /// The look with this id.
    pub(crate) fn with_id(&self, id: &str) -> Option<&Arc<Look>> {
        self.all().find(|look| look.id() == id)
    }

    /// All looks, starting with the common look.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Look>> {
        std::iter::once(&self.common).chain(self.portals.values())
    }

    /// Whether both sets contain the same looks.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.all().map(|look| look.id()).eq(other.all().map(|look| look.id()))
    }
}

fn sorted(faults: impl Iterator<Item = Fault>) -> Vec<Fault> {
    faults.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Compiles the templates of several looks. Languages and portals without their own templates share compiled templates.
struct LookBuilder<'a> {
    templates: &'a TemplateFolder,
    /// The compiled templates, keyed by the names and files of their sources. `None` if the sources do not compile.
    compiled: HashMap<Vec<(String, String)>, Option<Arc<Templates>>>,
    findings: Findings,
}

impl LookBuilder<'_> {
    fn build(&mut self, words: &Words, brand: Brand) -> Arc<Look> {
        let mut templates = HashMap::new();
        for language in words.offered() {
            templates.extend(self.compile(&brand, language).map(|compiled| (language, compiled)));
        }
        let look = Arc::new(Look::new(words.clone(), brand, templates));
        self.findings.check(&look);
        look
    }

    fn compile(&mut self, brand: &Brand, language: Language) -> Option<Arc<Templates>> {
        let sources = self.templates.resolve(brand.portal.as_deref(), language);
        let key = sources.iter().map(|source| (source.name.clone(), source.file.clone())).collect();
        if let Some(compiled) = self.compiled.get(&key) {
            return compiled.clone();
        }
        let names: BTreeSet<String> = sources.iter().map(|source| source.name.clone()).collect();
        for source in &sources {
            let missing = references(&source.text)
                .into_iter()
                .filter(|reference| !reference.is_optional && !names.contains(&reference.name));
            for reference in missing {
                let problem = format!("The template `{}` does not exist.", reference.name);
                self.findings.add(Fault::new(&source.file, reference.line, problem));
            }
        }
        let compiled = match Templates::compile(sources) {
            Ok(templates) => Some(Arc::new(templates)),
            Err(faults) => {
                faults.into_iter().for_each(|fault| self.findings.add(fault));
                None
            }
        };
        self.compiled.insert(key, compiled.clone());
        compiled
    }
}
