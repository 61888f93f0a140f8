//! The line on the mailbox page that shows a mail's delivery events.

use super::SentWebhook;
use crate::html::escape;

/// Renders a mail's events, for example `accepted` and `delivered`. Without events, the element is empty but present,
/// because the page's script replaces it later.
pub(super) fn render(mail: usize, events: &[SentWebhook]) -> String {
    let told: String = events.iter().filter(|event| event.mail == mail).map(item).collect();
    format!("<span class=\"told\" id=\"told-{mail}\">{told}</span>")
}

fn item(event: &SentWebhook) -> String {
    format!("<span class=\"{}\">{}</span> ", class(event), escape(&describe(event)))
}

fn class(event: &SentWebhook) -> &'static str {
    let is_permanent = event.event_data()["severity"] != "temporary";
    match event.event.as_str() {
        "failed" if is_permanent => "bad",
        "complained" => "bad",
        _ if is_refused(event) => "bad",
        "delivered" => "good",
        _ => "",
    }
}

/// Whether the last post of the event's webhook was answered with a status other than 2xx.
fn is_refused(event: &SentWebhook) -> bool {
    event.status().is_some_and(|status| !(200..300).contains(&status))
}

fn describe(event: &SentWebhook) -> String {
    let text = |name: &str| event.event_data()[name].as_str();
    let why = text("severity").zip(text("reason")).map(|(severity, reason)| format!(" ({severity}, {reason})"));
    let taken = match (event.answers.last(), event.settled) {
        (None, false) => "; the webhook has not been answered yet".to_owned(),
        (None, true) => "; no webhook was sent".to_owned(),
        (Some(None), _) => "; the webhook was not answered".to_owned(),
        (Some(Some(status)), _) if is_refused(event) => format!("; the webhook was answered with {status}"),
        (Some(Some(_)), _) => String::new(),
    };
    format!("{}{}{taken}", event.event, why.unwrap_or_default())
}
