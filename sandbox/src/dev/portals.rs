//! The files of the two portals: `PORTALS_FILE` and `MAIL_TEMPLATES`. They are in a temporary folder, so that a
//! developer can change them while everything is running.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::settings;
use crate::{Portal, PortalSettings, PreviewCommand};

const PORTALS: &str = include_str!("portals.toml");
const LOGO: &[u8] = include_bytes!("library.png");
const WORDS: &str = include_str!("words.ftl");

/// The name of the second portal.
const LIBRARY: &str = "Stadtbücherei";

/// The folder with the files of the two portals of `cargo dev`. It is removed on drop.
#[derive(Debug)]
pub struct PortalFiles(TempDir);

impl PortalFiles {
    /// Writes the files. `library` is the origin of the second portal.
    ///
    /// # Errors
    /// The files cannot be written to the system's folder for temporary files.
    pub fn write(library: &str) -> io::Result<PortalFiles> {
        let files = PortalFiles(tempfile::Builder::new().prefix("magic-link-dev-").tempdir()?);
        fs::write(files.portals(), PORTALS.replace("{library}", library))?;
        fs::write(files.folder().join("library.png"), LOGO)?;
        fs::create_dir_all(files.templates().join("en"))?;
        fs::write(files.templates().join("en/words.ftl"), WORDS)?;
        Ok(files)
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    /// The value of `PORTALS_FILE`.
    pub fn portals(&self) -> PathBuf {
        self.folder().join("portals.toml")
    }

    /// The command that renders the mails of both portals. `worker` is the path of the worker program.
    pub fn preview(&self, worker: &Path) -> PreviewCommand {
        PreviewCommand { worker: worker.to_owned(), settings: settings::for_preview(self) }
    }

    /// The value of `MAIL_TEMPLATES`.
    pub fn templates(&self) -> PathBuf {
        self.folder().join("templates")
    }
}

/// Starts the second portal. It must not run on localhost, because every port of localhost belongs to the first portal.
pub(super) async fn start_library(settings: PortalSettings) -> io::Result<Portal> {
    let settings =
        PortalSettings { host: "127.0.0.1", name: LIBRARY.into(), accent: Some(("#7a1f5c", "#f0a6d4")), ..settings };
    Portal::start(settings).await
}
