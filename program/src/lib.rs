//! What `magic-link-api` and `magic-link-worker` share as programs: who they are, and how they read settings, log, stop and
//! refuse to start.
//!
//! The crate knows nothing about jobs, mail or Postgres. What a setting means is decided in each program.

pub mod dotenv;
mod exit;
mod identity;
mod limits;
mod log;
mod setting_errors;
mod signals;

pub use dotenv::load_dotenv;
pub use exit::refuse;
pub use identity::{COMMIT, VERSION, instance_name};
pub use limits::{LimitError, forbid_core_dumps, raise_open_files_limit};
pub use log::{LogFormat, LogSettings, start_log};
pub use setting_errors::{SettingError, SettingErrors};
pub use signals::StopSignals;
