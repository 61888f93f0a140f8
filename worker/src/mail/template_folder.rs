//! Reads the templates in `MAIL_TEMPLATES`. A template is looked up in `portals/<id>/<tag>/`, `portals/<id>/`,
//! `<tag>/`, the folder itself, and then among the built-in templates. The `words` crate reads the `words.ftl` files in
//! the same folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use program::io_problem;
use words::{Fault, Language, PORTALS_FOLDER, WORDS_FILE};

use super::{
    template_references::references,
    templates::{BUILT_IN, TemplateSource, built_in_sources},
};

/// Maximum size of a template, in bytes. Real templates are far smaller.
const MAX_SIZE: u64 = 1024 * 1024;

/// A folder within `MAIL_TEMPLATES`: the id of its portal and the tag of its language, if it has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    portal: Option<String>,
    language: Option<String>,
}

/// The operator's templates.
#[derive(Debug, Default)]
pub(crate) struct TemplateFolder {
    places: BTreeMap<Place, BTreeMap<String, TemplateSource>>,
}

impl TemplateFolder {
    /// Reads all templates. Hidden files, hidden folders and `*.md` files are ignored. Also returns a fault for each
    /// file or folder that cannot be read, has an unexpected name or is not used.
    pub(crate) fn read(root: &Path, portals: &BTreeSet<&str>) -> (Self, Vec<Fault>) {
        let mut reader = Reader { portals, folder: Self::default(), faults: vec![] };
        if !root.is_dir() {
            // The `words` crate reports that the folder cannot be read.
            return (Self::default(), vec![]);
        }
        reader.read_folder(root, &Place { portal: None, language: None });
        let Reader { folder, mut faults, .. } = reader;
        faults.extend(folder.unused_files());
        (folder, faults)
    }

    /// The templates for a portal and a language.
    pub(crate) fn resolve(&self, portal: Option<&str>, language: Language) -> Vec<TemplateSource> {
        let (portal, language) = (portal.map(str::to_owned), Some(language.tag()));
        let mut found: BTreeMap<String, TemplateSource> =
            built_in_sources().into_iter().map(|source| (source.name.clone(), source)).collect();
        let mut places =
            vec![Place { portal: None, language: None }, Place { portal: None, language: language.clone() }];
        if portal.is_some() {
            places.push(Place { portal: portal.clone(), language: None });
            places.push(Place { portal, language });
        }
        for place in places {
            found.extend(self.places.get(&place).cloned().unwrap_or_default());
        }
        found.into_values().collect()
    }

    fn sources(&self) -> impl Iterator<Item = &TemplateSource> {
        self.places.values().flat_map(BTreeMap::values)
    }

    /// Files that no template includes and that do not replace a built-in template, probably because their names are
    /// misspelt.
    fn unused_files(&self) -> Vec<Fault> {
        let mut used: BTreeSet<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
        for source in self.sources() {
            used.extend(references(&source.text).into_iter().map(|reference| reference.name));
        }
        let unused = self.sources().filter(|source| !used.contains(&source.name));
        unused
            .map(|source| {
                let known = BUILT_IN.map(|(name, _)| name).join(", ");
                let problem = format!("No template includes this file, and its name is not one of {known}.");
                Fault::new(&source.file, 0, problem)
            })
            .collect()
    }
}

struct Reader<'a> {
    portals: &'a BTreeSet<&'a str>,
    folder: TemplateFolder,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn read_folder(&mut self, folder: &Path, place: &Place) {
        for (path, name) in self.entries(folder) {
            if path.is_dir() { self.read_subfolder(&path, &name, place) } else { self.read_file(&path, &name, place) }
        }
    }

    /// The visible files and folders in a folder, sorted by path. A folder that cannot be read is a fault.
    fn entries(&mut self, folder: &Path) -> Vec<(PathBuf, String)> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.fault(folder, format!("The folder cannot be read: {}.", io_problem(&error)));
                return vec![];
            }
        };
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut entries: Vec<(PathBuf, String)> = paths.map(|path| (path.clone(), name(&path))).collect();
        // Skip hidden entries: a mounted Kubernetes ConfigMap contains a hidden folder with copies of all files.
        entries.retain(|(_, name)| !name.starts_with('.'));
        entries.sort();
        entries
    }

    fn read_subfolder(&mut self, path: &Path, name: &str, place: &Place) {
        match place {
            Place { language: Some(_), .. } => {
                self.fault(path, "A language's folder must not contain folders: put the templates directly into it.");
            }
            Place { portal: None, .. } if name == PORTALS_FOLDER => self.read_portals(path),
            Place { portal, .. } => {
                // The `words` crate reports folders whose names are not language tags.
                if let Ok(language) = name.parse::<Language>() {
                    self.read_folder(path, &Place { portal: portal.clone(), language: Some(language.tag()) });
                }
            }
        }
    }

    fn read_portals(&mut self, folder: &Path) {
        for (path, name) in self.entries(folder) {
            if !path.is_dir() {
                self.fault(&path, "This folder must contain only folders, one for each portal.");
            } else if self.portals.contains(name.as_str()) {
                self.read_folder(&path, &Place { portal: Some(name), language: None });
            } else {
                self.fault(&path, format!("There is no portal `{name}`."));
            }
        }
    }

    fn read_file(&mut self, path: &Path, name: &str, place: &Place) {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
        match extension {
            Some("html" | "txt") => match read_template(path, name) {
                Ok(source) => {
                    self.folder.places.entry(place.clone()).or_default().insert(name.to_owned(), source);
                }
                Err(problem) => self.fault(path, problem),
            },
            Some("md") => {}
            _ if name == WORDS_FILE && place.language.is_some() => {}
            _ if name == WORDS_FILE => {
                self.fault(path, "Words belong in a language's folder, such as de/words.ftl.");
            }
            _ => self.fault(path, "The file is neither words.ftl nor a template (*.html, *.txt)."),
        }
    }

    fn fault(&mut self, path: &Path, problem: impl Into<String>) {
        self.faults.push(Fault::of_file(path, problem));
    }
}

fn read_template(path: &Path, name: &str) -> Result<TemplateSource, String> {
    let problem = |error: std::io::Error| format!("The file cannot be read: {}.", io_problem(&error));
    if fs::metadata(path).map_err(problem)?.len() > MAX_SIZE {
        return Err("The file is larger than 1 MiB.".to_owned());
    }
    let text = String::from_utf8(fs::read(path).map_err(problem)?).map_err(|_| "The file is not valid UTF-8.")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).into();
    Ok(TemplateSource { name: name.to_owned(), file: path.display().to_string(), text })
}
