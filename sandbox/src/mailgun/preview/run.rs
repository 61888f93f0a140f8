//! Runs `magic-link-worker mail preview`, and loads the files that it writes into memory. Only these files can be
//! served, whatever path a request contains.

use std::{collections::HashMap, fs, io, path::Path, time::Duration};

use serde::Deserialize;
use tokio::time::timeout;

use super::PreviewCommand;
use crate::Program;

/// Maximum run time of the command.
const MAX_TIME: Duration = Duration::from_secs(30);

/// The subfolder with the files that the page shows in frames.
const SHOWN: &str = "shown";

/// A mail in the command's `index.json`.
#[derive(Debug, Deserialize)]
pub(super) struct ListedMail {
    /// The prefix that the names of the mail's files share.
    pub(super) name: String,
    /// The id of the mail's portal. `None` if no portal is configured.
    pub(super) portal: Option<String>,
    pub(super) portal_name: Option<String>,
    pub(super) language: String,
    pub(super) style: String,
    pub(super) subject: String,
}

/// The files that a run of the command has written.
#[derive(Debug, Default)]
pub(super) struct RenderedFiles {
    /// The mails, grouped by portal and then by language.
    pub(super) mails: Vec<ListedMail>,
    files: HashMap<String, Vec<u8>>,
}

impl RenderedFiles {
    /// The content of the file with this path, such as `shop-de-link.txt` or `shown/shop-de-link-dark.html`.
    pub(super) fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }
}

/// Why the mails could not be rendered. There is a line for each problem, such as a mistake in a file.
#[derive(Debug)]
pub(super) struct Faults(pub(super) Vec<String>);

impl From<io::Error> for Faults {
    fn from(error: io::Error) -> Faults {
        Faults(vec![format!("cannot write or read the example mails: {error}")])
    }
}

/// Runs the command with a temporary output folder.
pub(super) async fn run(command: &PreviewCommand) -> Result<RenderedFiles, Faults> {
    let folder = tempfile::Builder::new().prefix("magic-link-mails-").tempdir()?;
    let out = folder.path().display().to_string();
    let arguments = ["mail", "preview", "--out", &out];
    let program = Program::spawn(&command.worker, "magic-link-worker mail preview", &command.settings, &arguments)
        .map_err(|error| Faults(vec![error.to_string()]))?;
    let Ok(status) = timeout(MAX_TIME, program.wait()).await else {
        return Err(Faults(vec![format!("`mail preview` did not finish within {} s", MAX_TIME.as_secs())]));
    };
    if !status.success() {
        let mut printed = program.log();
        if printed.is_empty() {
            printed.push(format!("`mail preview` failed without a message ({status})"));
        }
        return Err(Faults(printed));
    }
    Ok(read(folder.path())?)
}

fn read(folder: &Path) -> io::Result<RenderedFiles> {
    let mut files = HashMap::new();
    for (prefix, folder) in [(String::new(), folder.to_owned()), (format!("{SHOWN}/"), folder.join(SHOWN))] {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                files.insert(format!("{prefix}{name}"), fs::read(entry.path())?);
            }
        }
    }
    let index = files.get("index.json").map(Vec::as_slice).unwrap_or_default();
    Ok(RenderedFiles { mails: serde_json::from_slice(index)?, files })
}
