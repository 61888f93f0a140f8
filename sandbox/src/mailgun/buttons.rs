//! The mailbox page's buttons that simulate failures. Each one adds one fault to one of the stand-ins.

use crate::faults::{Fault, FaultKind, Faults, Lasts};

/// A button: its form value, its label, and the fault that it adds.
struct Button {
    name: &'static str,
    label: &'static str,
    fault: fn() -> Fault,
}

const BUTTONS: [Button; 8] = [
    Button { name: "500", label: "Answer 500 once", fault: || Fault::status(500) },
    Button { name: "500x3", label: "Answer 500 three times", fault: || Fault::status(500).times(3) },
    Button { name: "429", label: "Answer 429 for 10 s", fault: || Fault::status(429).seconds(10) },
    Button { name: "slow", label: "Answer one call 3 s late", fault: || FaultKind::Delay { millis: 3000 }.into() },
    Button { name: "hang", label: "Leave one call unanswered", fault: || FaultKind::Hang.into() },
    Button { name: "cut", label: "Hang up on one call", fault: || FaultKind::Cut.into() },
    Button { name: "cut_after", label: "Process one call, then hang up", fault: || FaultKind::CutAfter.into() },
    Button { name: "always", label: "Answer 500 until reset", fault: || Fault::status(500).always() },
];

/// The form value of the button that removes all faults.
const RESET: &str = "clear";

/// Adds the fault for the button with this form value, or removes all faults if it is [`RESET`]. Returns false if no
/// button has this value.
pub(super) fn press(faults: &Faults, name: &str) -> bool {
    if name == RESET {
        faults.clear();
        return true;
    }
    let button = BUTTONS.iter().find(|button| button.name == name);
    button.map(|button| faults.add((button.fault)())).is_some()
}

/// Renders the buttons for one stand-in, with its current state.
pub(super) fn render(target: &str, title: &str, faults: &Faults) -> String {
    let (class, state) = state(faults);
    let state = crate::html::escape(&state);
    let buttons: String = BUTTONS
        .iter()
        .map(|button| (button.name, button.label, ""))
        .chain([(RESET, "Reset", " class=\"normal\"")])
        .map(|(name, label, class)| format!("<button name=\"fault\" value=\"{name}\"{class}>{label}</button>"))
        .collect();
    format!(
        "<form method=\"post\" action=\"/faults\"><input type=\"hidden\" name=\"target\" \
         value=\"{target}\"><h3>{title} <span class=\"state {class}\" id=\"state-{target}\">{state}</span></h3>\
         <div class=\"buttons\">{buttons}</div></form>"
    )
}

/// A CSS class and a description of the state of a stand-in: its queued faults or, if there are none, the fault that
/// made the last call fail.
fn state(faults: &Faults) -> (&'static str, String) {
    let waiting: Vec<String> = faults.list().iter().map(describe).collect();
    if !waiting.is_empty() {
        return ("broken", waiting.join(", then "));
    }
    match faults.last_failure() {
        Some(kind) => ("broken", format!("failed: {}", describe_kind(&kind))),
        None => ("fine", "works".to_owned()),
    }
}

fn describe_kind(kind: &FaultKind) -> String {
    match kind {
        FaultKind::Status(answer) => answer.status.to_string(),
        FaultKind::StatusAfter(answer) => format!("{} after processing", answer.status),
        FaultKind::Delay { millis } => format!("{millis} ms late"),
        FaultKind::Hang => "no answer".into(),
        FaultKind::HangAfter => "no answer after processing".into(),
        FaultKind::Cut => "connection closed".into(),
        FaultKind::CutAfter => "connection closed after processing".into(),
    }
}

fn describe(fault: &Fault) -> String {
    let what = describe_kind(&fault.kind);
    let lasts = match fault.lasts {
        Lasts::Times(1) => "once".to_owned(),
        Lasts::Times(times) => format!("{times} times"),
        Lasts::Seconds(seconds) => format!("for {seconds} s"),
        Lasts::Always => "always".to_owned(),
    };
    let to = fault.to.as_ref().map(|to| format!(" for {to}"));
    format!("{what} {lasts}{}", to.unwrap_or_default())
}
