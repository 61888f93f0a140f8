//! Reads an operator's words from a folder. Each language has its own folder, which is named after its tag: `it/words.ftl`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    fault::{Fault, problem_of_file},
    language::{Language, UnknownTag},
    words::{OperatorCatalogue, Words},
};

const FILE: &str = "words.ftl";
/// Maximum size of a file, in bytes. A catalogue is about 6 KiB long.
const MAX_SIZE: u64 = 1024 * 1024;

impl Words {
    /// The built-in languages, with the operator's words if the setting names a folder. A blank setting is treated like `None`.
    ///
    /// # Errors
    /// All faults in all files.
    pub fn from_setting(folder: Option<&str>) -> Result<Self, Vec<Fault>> {
        match folder.map(str::trim).filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::from_folder(Path::new(folder)),
            None => Ok(Self::built_in()),
        }
    }

    /// The built-in languages with an operator's words: `<tag>/words.ftl` for each language. Files next to these folders and
    /// hidden folders are ignored.
    ///
    /// # Errors
    /// All faults in all files.
    pub fn from_folder(folder: &Path) -> Result<Self, Vec<Fault>> {
        let folders = language_folders(folder).map_err(|fault| vec![fault])?;
        let (mut catalogues, mut faults) = (vec![], vec![]);
        for folder in folders {
            match read_catalogue(&folder) {
                Ok(catalogue) => catalogues.push(catalogue),
                Err(fault) => faults.push(fault),
            }
        }
        match Self::with_overrides(&catalogues) {
            Ok(words) if faults.is_empty() => Ok(words),
            Ok(_) => Err(faults),
            Err(found) => {
                faults.extend(found);
                faults.sort();
                Err(faults)
            }
        }
    }
}

fn language_folders(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = fs::read_dir(folder).map_err(|error| Fault::of_file(folder, problem_of_file(&error)))?;
    // A mounted ConfigMap has a hidden folder with copies of all files.
    let is_visible = |path: &Path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.is_dir() && is_visible(path)).collect();
    folders.sort();
    if folders.is_empty() {
        return Err(Fault::of_file(
            folder,
            "The folder has no language: put mail texts into a file such as de/words.ftl.",
        ));
    }
    Ok(folders)
}

fn read_catalogue(folder: &Path) -> Result<OperatorCatalogue, Fault> {
    let tag = folder.file_name().unwrap_or_default().to_string_lossy();
    let not_a_tag = |error: UnknownTag| Fault::of_file(folder, format!("The folder's name {error}."));
    let language: Language = tag.parse().map_err(not_a_tag)?;
    let file = folder.join(FILE);
    let size = fs::metadata(&file).map_err(|error| Fault::of_file(&file, problem_of_file(&error)))?.len();
    if size > MAX_SIZE {
        return Err(Fault::of_file(&file, "The file is larger than 1 MiB."));
    }
    let bytes = fs::read(&file).map_err(|error| Fault::of_file(&file, problem_of_file(&error)))?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::of_file(&file, "The file is not valid UTF-8."))?;
    Ok(OperatorCatalogue { file: file.display().to_string(), language, text })
}
