//! The "Mails" tab of the mailbox page: example mails of every portal, language and style. Each request for the page
//! runs `magic-link-worker mail preview`, so the page reflects the current portal and template files.

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
    /// The path of `magic-link-worker`.
    pub worker: PathBuf,
    /// The command's environment variables, such as `PORTALS_FILE` and `MAIL_TEMPLATES`.
    pub settings: Vec<(String, String)>,
}

/// The command, and the files that its last successful run wrote.
#[derive(Clone)]
pub(super) struct Preview(Arc<PreviewState>);

struct PreviewState {
    command: PreviewCommand,
    /// Locked while the command runs, so that concurrent requests run it one after the other.
    turn: Mutex<()>,
    newest: RwLock<Arc<RenderedFiles>>,
}

impl Preview {
    pub(super) fn new(command: PreviewCommand) -> Preview {
        Preview(Arc::new(PreviewState { command, turn: Mutex::default(), newest: RwLock::default() }))
    }

    /// Renders all mails. If this fails, the files of the last successful run are kept, because open pages still load
    /// them.
    async fn render(&self) -> Result<Arc<RenderedFiles>, Faults> {
        let _turn = self.0.turn.lock().await;
        let files = Arc::new(run::run(&self.0.command).await?);
        *self.0.newest.write().unwrap_or_else(PoisonError::into_inner) = files.clone();
        Ok(files)
    }

    /// The files of the last successful run. Before the first successful run, there are no files.
    fn newest(&self) -> Arc<RenderedFiles> {
        self.0.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
