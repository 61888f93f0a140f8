//! Everything that is needed to run the programs on one machine: a Postgres server, stand-ins for Supabase Auth and
//! Mailgun with a mailbox page, and the example portals. The crate also runs the programs themselves, as child
//! processes. `cargo dev` and the tests use it. It depends on no other crate in the workspace, so that the tests of any
//! crate can use it. Every server listens on loopback, and stops when its handle is dropped or the process ends.

mod daemon;
mod database;
mod dev;
mod eventually;
mod faults;
mod html;
mod http;
mod journal;
mod mailgun;
mod pgbouncer;
mod portal;
mod portal_ssr;
mod ports;
mod postgres;
mod process;
mod programs;
mod roles;
mod rows;
mod server;
mod server_address;
mod supabase;
mod test_database;
pub mod test_settings;

pub use daemon::{Daemon, DaemonFolder, find_program};
pub use database::{Database, DatabaseError};
pub use dev::{DevLinkStyle, PortalFiles, Stop, dev, with_api};
pub use eventually::{eventually, eventually_within};
pub use faults::{CannedAnswer, Fault, FaultKind, Faults, Lasts};
pub use http::client;
pub use journal::TimedOut;
pub use mailgun::{
    InlinePart, Mail, Mailgun, MailgunSettings, OpenJob, OpenJobs, PreviewCommand, ReadCall, SendCall, SentWebhook,
    Signing, SuppressionList, WebhookError, signed,
};
pub use pgbouncer::{PgBouncer, PgBouncerError};
pub use portal::{Portal, PortalSettings};
pub use portal_ssr::{PortalSsr, PortalSsrSettings};
pub use ports::free_port;
pub use postgres::{Durability, OLDEST_POSTGRES, Postgres, PostgresError};
pub use programs::{Program, ProgramError, Programs};
pub use roles::{Role, RolesError};
pub use rows::{JobRow, StepRow, rows, scalar};
pub use server_address::ServerAddress;
pub use supabase::{LinkCall, LinkTokens, Outcome, SupabaseAuth, SupabaseSettings, User, VerifyCall, VerifyPost};
pub use test_database::{SeenOpenJobs, TestDatabase};
