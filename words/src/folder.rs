//! Reads an operator's words from a folder. Each language has a subfolder that is named after its tag: `it/words.ftl`.
//! The folder `portals` contains the words of individual portals: `portals/shop/it/words.ftl`. These folders may also
//! contain templates, which only the worker reads.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    fault::{Fault, problem_of_file},
    language::{Language, UnknownTag},
    words::{OperatorCatalogue, Words},
};

/// The name of the file that contains the words of a language.
pub const WORDS_FILE: &str = "words.ftl";
/// The name of the folder that contains the portals' folders.
pub const PORTALS_FOLDER: &str = "portals";
/// Maximum size of a file, in bytes. A catalogue is about 6 KiB long.
const MAX_SIZE: u64 = 1024 * 1024;

/// The common words, and the portals' own words, which override the common words.
#[derive(Debug, Clone)]
pub struct WordsFolder {
    /// The words for portals that have no words of their own.
    pub common: Words,
    portals: BTreeMap<String, Words>,
}

impl WordsFolder {
    /// The built-in words, with the operator's words if the setting specifies a folder. A blank setting is treated like
    /// `None`.
    ///
    /// # Errors
    /// All faults in the folder and its files.
    pub fn from_setting(folder: Option<&str>) -> Result<Self, Vec<Fault>> {
        match folder.map(str::trim).filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::read(Path::new(folder)),
            None => Ok(Self { common: Words::built_in(), portals: BTreeMap::new() }),
        }
    }

    /// The built-in words with an operator's words: `<tag>/words.ftl` for each language, and
    /// `portals/<id>/<tag>/words.ftl` for the languages of a portal. A portal's words override the common ones. Other
    /// files and hidden folders are ignored.
    ///
    /// # Errors
    /// All faults in the folder and its files.
    pub fn read(folder: &Path) -> Result<Self, Vec<Fault>> {
        let mut faults = vec![];
        if is_empty(folder).map_err(|fault| vec![fault])? {
            let problem = "The folder has neither words nor templates: put messages into a file such as de/words.ftl.";
            return Err(vec![Fault::of_file(folder, problem)]);
        }
        let common = read_layer(folder, &mut faults);
        let is_portals = |path: &PathBuf| path.file_name().is_some_and(|name| name == PORTALS_FOLDER);
        let portals_folder = subfolders(folder).map_err(|fault| vec![fault])?.into_iter().find(is_portals);
        let mut portals = BTreeMap::new();
        for portal in portals_folder.iter().flat_map(|folder| subfolders(folder).unwrap_or_default()) {
            let own = read_layer(&portal, &mut faults);
            let id = portal.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match Words::with_layers(&[&common, &own]) {
                Ok(words) if !own.is_empty() => drop(portals.insert(id, words)),
                Ok(_) => {}
                Err(found) => faults.extend(found),
            }
        }
        match Words::with_overrides(&common) {
            Ok(common) if faults.is_empty() => return Ok(Self { common, portals }),
            Ok(_) => {}
            Err(found) => faults.extend(found),
        }
        faults.sort();
        // The faults in the common words are found again with each portal.
        faults.dedup();
        Err(faults)
    }

    /// The words of a portal, or the common words if the portal has no words of its own.
    #[must_use]
    pub fn of_portal(&self, id: &str) -> &Words {
        self.portals.get(id).unwrap_or(&self.common)
    }
}

/// Whether a folder contains neither visible subfolders nor templates.
fn is_empty(folder: &Path) -> Result<bool, Fault> {
    let entries = fs::read_dir(folder).map_err(|error| Fault::of_file(folder, problem_of_file(&error)))?;
    let is_template = |path: &Path| path.extension().is_some_and(|extension| extension == "html" || extension == "txt");
    let mut paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    Ok(subfolders(folder)?.is_empty() && !paths.any(|path| is_template(&path)))
}

/// The visible subfolders of a folder, sorted by path.
fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = fs::read_dir(folder).map_err(|error| Fault::of_file(folder, problem_of_file(&error)))?;
    // A mounted Kubernetes ConfigMap contains a hidden folder with copies of all files.
    let is_visible = |path: &Path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.is_dir() && is_visible(path)).collect();
    folders.sort();
    Ok(folders)
}

/// Reads the catalogue in each language subfolder. A subfolder without a catalogue is skipped, because templates alone
/// are allowed.
fn read_layer(folder: &Path, faults: &mut Vec<Fault>) -> Vec<OperatorCatalogue> {
    let mut catalogues = vec![];
    for folder in subfolders(folder).unwrap_or_default() {
        if folder.file_name().is_some_and(|name| name == PORTALS_FOLDER) {
            continue;
        }
        match read_catalogue(&folder) {
            Ok(catalogue) => catalogues.extend(catalogue),
            Err(fault) => faults.push(fault),
        }
    }
    catalogues
}

fn read_catalogue(folder: &Path) -> Result<Option<OperatorCatalogue>, Fault> {
    let tag = folder.file_name().unwrap_or_default().to_string_lossy();
    let not_a_tag = |error: UnknownTag| Fault::of_file(folder, format!("The folder's name {error}."));
    let language: Language = tag.parse().map_err(not_a_tag)?;
    let file = folder.join(WORDS_FILE);
    let size = match fs::metadata(&file) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::of_file(&file, problem_of_file(&error))),
    };
    if size > MAX_SIZE {
        return Err(Fault::of_file(&file, "The file is larger than 1 MiB."));
    }
    let bytes = fs::read(&file).map_err(|error| Fault::of_file(&file, problem_of_file(&error)))?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::of_file(&file, "The file is not valid UTF-8."))?;
    Ok(Some(OperatorCatalogue { file: file.display().to_string(), language, text }))
}
