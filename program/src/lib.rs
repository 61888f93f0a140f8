//! Code that `magic-link-api` and `magic-link-worker` share: version and instance name, `.env` and setting errors,
//! keys, logging, listeners, process limits, signals, reloaded settings and exit codes.
//!
//! The crate knows nothing about jobs, mail or Postgres. Each program decides what its settings mean.

mod changed_settings;
pub mod dotenv;
mod exit;
mod identity;
mod io_problem;
mod keys;
mod limits;
mod listen;
mod live;
mod log;
mod output;
mod setting_errors;
mod signals;

pub use changed_settings::changed_settings;
pub use dotenv::load_dotenv;
pub use exit::{fail, not_done, not_found, refuse};
pub use identity::{COMMIT, VERSION, instance_name};
pub use io_problem::io_problem;
pub use keys::{KEY_ID_LENGTH, KeyId, SecretKey, parse_keys};
pub use limits::{LimitError, forbid_core_dumps, raise_open_files_limit};
pub use listen::{ListenError, listen};
pub use live::Live;
pub use log::{LogFormat, LogSettings, start_log};
pub use output::is_output_closed;
pub use setting_errors::{SettingError, SettingErrors};
pub use signals::{ReloadSignal, StopSignals};
