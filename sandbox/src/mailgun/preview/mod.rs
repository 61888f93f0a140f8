//! The tab "Mails" of the mailbox page: example mails of every portal, language and style. Each request for the page runs
//! `magic-link-worker mail preview`, so that the page shows the files of portals and templates as they are now.

mod page;
mod routes;
mod run;

pub(super) use routes::routes;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use run::{Faults, RenderedFiles};
use tokio::sync::Mutex;

/// How to render the mails.
#[derive(Clone, Debug)]
pub struct PreviewCommand {
    /// `magic-link-worker`.
    pub worker: PathBuf,
    /// Its environment, such as `PORTALS_FILE` and `MAIL_TEMPLATES`.
    pub settings: Vec<(String, String)>,
}

/// The command, and the files that it wrote last.
#[derive(Clone)]
pub(super) struct Preview(Arc<PreviewState>);

struct PreviewState {
    command: PreviewCommand,
    /// Held while the command runs, so that many requests start only one program at a time.
    turn: Mutex<()>,
    newest: RwLock<Arc<RenderedFiles>>,
}

impl Preview {
    pub(super) fn new(command: PreviewCommand) -> Preview {
        Preview(Arc::new(PreviewState { command, turn: Mutex::default(), newest: RwLock::default() }))
    }

    /// Renders all mails. If that fails, the files of the last success stay, because other open pages show them.
    async fn render(&self) -> Result<Arc<RenderedFiles>, Faults> {
        let _turn = self.0.turn.lock().await;
        let files = Arc::new(run::run(&self.0.command).await?);
        *self.0.newest.write().unwrap_or_else(PoisonError::into_inner) = files.clone();
        Ok(files)
    }

    /// The files that were rendered last. None before the first success.
    fn newest(&self) -> Arc<RenderedFiles> {
        self.0.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
