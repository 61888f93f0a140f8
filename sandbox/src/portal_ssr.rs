//! Runs the server-rendered example portal (`openapi/examples/portal-ssr`) with Node. The portal's npm packages must be
//! installed: run `npm ci --ignore-scripts` in its folder.

use crate::{Program, ProgramError, SupabaseSettings, free_port, programs::workspace_root};
use std::{path::Path, time::Duration};

const SERVER: &str = "openapi/examples/portal-ssr/server.js";
/// Maximum time for Node to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of the portal.
#[derive(Clone, Debug)]
pub struct PortalSsrSettings {
    /// The api's base URL, such as `http://127.0.0.1:8080/api`.
    pub api: String,
    /// Supabase's URL, without `/auth/v1`.
    pub supabase_url: String,
    /// The trusted proxies in front of the portal, separated by commas.
    pub trusted_proxies: String,
}

/// The running portal. Dropping it stops it.
#[derive(Debug)]
pub struct PortalSsr {
    program: Program,
    port: u16,
}

impl PortalSsr {
    /// Starts the portal on a free port, and waits until it listens.
    ///
    /// # Errors
    /// Node is not installed, no port is free, the portal exits (for example, because a package is missing), or it does
    /// not start within 30 s. If the portal exits, the error contains its output.
    pub async fn start(settings: PortalSsrSettings) -> Result<PortalSsr, ProgramError> {
        let name = "portal-ssr";
        let port = free_port().map_err(|source| ProgramError::Start { name: name.into(), source })?;
        let environment = [
            ("PORTAL_ORIGIN", format!("http://localhost:{port}")),
            ("PORT", port.to_string()),
            ("API_URL", settings.api),
            ("SUPABASE_URL", settings.supabase_url),
            ("SUPABASE_KEY", SupabaseSettings::default().anon_key),
            ("TRUSTED_PROXIES", settings.trusted_proxies),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let server = workspace_root().join(SERVER);
        let program = Program::spawn(Path::new("node"), name, &environment, &[&server.to_string_lossy()])?;
        program.wait_for_line("listening on port", START_TIMEOUT).await?;
        Ok(PortalSsr { program, port })
    }

    /// The portal's origin. Its host is `localhost`, which the api and the stand-in for Supabase Auth allow on any
    /// port.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The lines that the portal has printed so far.
    pub fn log(&self) -> Vec<String> {
        self.program.log()
    }
}
