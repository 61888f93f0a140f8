//! The line of a mail on the page that shows what its webhooks told, and what they were answered.

use super::SentWebhook;
use crate::html::escape;

/// `accepted → 200, delivered → 500, 200`. Always there, if empty: the page's script exchanges what is in it.
pub(super) fn render(mail: usize, events: &[SentWebhook]) -> String {
    let told: String = events.iter().filter(|event| event.mail == mail).map(item).collect();
    format!("<span class=\"told\" id=\"told-{mail}\">{told}</span>")
}

fn item(event: &SentWebhook) -> String {
    let well = event.status().is_some_and(|status| (200..300).contains(&status));
    let class = if well { "" } else { " class=\"untaken\"" };
    format!("<span{class}>{}</span> ", escape(&describe(event)))
}

fn describe(event: &SentWebhook) -> String {
    let text = |name: &str| event.event_data()[name].as_str();
    let why = text("severity").zip(text("reason")).map(|(severity, reason)| format!(" ({severity}, {reason})"));
    format!("{}{} → {}", event.event, why.unwrap_or_default(), answers(event))
}

fn answers(event: &SentWebhook) -> String {
    if event.answers.is_empty() {
        return if event.settled { "not sent" } else { "…" }.to_owned();
    }
    let answer = |answer: &Option<u16>| answer.map_or("no answer".to_owned(), |status| status.to_string());
    event.answers.iter().map(answer).collect::<Vec<_>>().join(", ")
}
