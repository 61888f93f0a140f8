//! `magic-link-worker pause` and `resume`: pause all mail, an upstream or a portal, and end such a pause.

use std::io::{Write as _, stdout};

use outbox::operate::pauses::{self, Pause, PauseTarget};
use serde_json::json;

use super::{
    CommandError, connect_to_tables,
    jobs::text::{json_line, time},
    plain::plain,
};
use crate::settings::{DatabaseSettings, PauseArguments, ResumeArguments};

/// Pauses a target if the arguments contain one, and lists all pauses that are in force.
///
/// # Errors
/// [`CommandError::Database`] or [`CommandError::Output`].
pub async fn pause(settings: &DatabaseSettings, arguments: &PauseArguments) -> Result<(), CommandError> {
    let pool = connect_to_tables(settings, "magic-link-worker pause").await?;
    if let PauseArguments { target: Some(target), lasts: Some(lasts), reason: Some(reason), .. } = arguments {
        pauses::pause(&pool, target, reason, *lasts).await?;
    }
    let in_force = pauses::pauses(&pool).await?;
    let mut out = stdout().lock();
    if arguments.json {
        for pause in &in_force {
            writeln!(out, "{}", json_line(&as_json(pause)))?;
        }
    } else if in_force.is_empty() {
        writeln!(out, "Nothing is paused.")?;
    } else {
        for pause in &in_force {
            writeln!(out, "{}", pause_line(pause))?;
        }
    }
    Ok(())
}

/// Ends a pause.
///
/// # Errors
/// [`CommandError::Database`], [`CommandError::Output`] or [`CommandError::NotPaused`].
pub async fn resume(settings: &DatabaseSettings, arguments: &ResumeArguments) -> Result<(), CommandError> {
    let pool = connect_to_tables(settings, "magic-link-worker resume").await?;
    if !pauses::resume(&pool, &arguments.target, arguments.reason.as_deref()).await? {
        return Err(CommandError::NotPaused(arguments.target.clone()));
    }
    writeln!(stdout().lock(), "{} is no longer paused.", described(&arguments.target.to_string()))?;
    Ok(())
}

/// A pause that is in force, as one line.
pub(super) fn pause_line(pause: &Pause) -> String {
    format!(
        "{} is paused until {}. Paused at {} by {}: {}",
        described(&pause.target),
        time(pause.ends_at),
        time(pause.paused_at),
        plain(&pause.paused_by),
        plain(&pause.reason)
    )
}

fn as_json(pause: &Pause) -> serde_json::Value {
    json!({
        "target": pause.target,
        "reason": pause.reason,
        "paused_by": pause.paused_by,
        "paused_at": time(pause.paused_at),
        "ends_at": time(pause.ends_at),
    })
}

/// The target in words: "Mail", "Supabase Auth", "Mailgun" or "The portal shop".
pub(super) fn described(target: &str) -> String {
    match target.parse() {
        Ok(PauseTarget::Mail) => "Mail".to_owned(),
        Ok(PauseTarget::Supabase) => "Supabase Auth".to_owned(),
        Ok(PauseTarget::Mailgun) => "Mailgun".to_owned(),
        Ok(PauseTarget::Portal(id)) => format!("The portal {id}"),
        Err(_) => plain(target),
    }
}
