//! The arguments of `magic-link-worker pause` and `resume`.

use std::time::Duration;

use clap::Args;
use outbox::{operate::pauses::PauseTarget, parse_duration};

use super::jobs::parse_reason;

/// Longest pause.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The arguments of `pause`.
#[derive(Args)]
pub struct PauseArguments {
    /// What to pause: mail (everything), supabase, mailgun, or portal:ID for one portal. Without a target, the command
    /// lists what is paused.
    #[arg(value_name = "mail|supabase|mailgun|portal:ID", requires_all = ["lasts", "reason"])]
    pub target: Option<PauseTarget>,
    /// How long to pause, 1s to 7d. After that, the pause ends automatically. Example: 30m
    #[arg(long = "for", id = "lasts", value_name = "TIME", value_parser = parse_lasts, requires = "target")]
    pub lasts: Option<Duration>,
    /// The reason, at most 500 bytes. Other operators can see it. Example: "Supabase is being upgraded"
    #[arg(long, value_name = "TEXT", value_parser = parse_reason, requires = "target")]
    pub reason: Option<String>,
    /// Print JSON for scripts: one object per line.
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `resume`.
#[derive(Args)]
pub struct ResumeArguments {
    /// What to resume: mail, supabase, mailgun, or portal:ID.
    #[arg(value_name = "mail|supabase|mailgun|portal:ID")]
    pub target: PauseTarget,
    /// The reason, at most 500 bytes. It is recorded in operator_actions.
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub reason: Option<String>,
}

fn parse_lasts(text: &str) -> Result<Duration, String> {
    let lasts = parse_duration(text.trim())?;
    if lasts <= LONGEST { Ok(lasts) } else { Err("a pause can last at most 7d".to_owned()) }
}
