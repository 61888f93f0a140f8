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
    Button { name: "slow", label: "Answer 3 s late, once", fault: || FaultKind::Delay { millis: 3000 }.into() },
    Button { name: "hang", label: "Do not answer, once", fault: || FaultKind::Hang.into() },
    Button { name: "cut", label: "Hang up, once", fault: || FaultKind::Cut.into() },
    Button { name: "cut_after", label: "Process it, then hang up, once", fault: || FaultKind::CutAfter.into() },
    Button { name: "always", label: "Answer 500 until reset", fault: || Fault::status(500).always() },
];

/// The form value of the button that removes all faults.
const RESET: &str = "clear";

/// Presses the button with this form value. Returns false if there is none.
pub(super) fn press(faults: &Faults, name: &str) -> bool {
    if name == RESET {
        faults.clear();
        return true;
    }
    let button = BUTTONS.iter().find(|button| button.name == name);
    button.map(|button| faults.add((button.fault)())).is_some()
}

/// Renders the buttons of one stand-in, with its current state.
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

/// The state of a stand-in: its queued faults. If there are none, the fault that was applied to the last call, until a call
/// succeeds.
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
        FaultKind::StatusAfter(answer) => format!("done, but {}", answer.status),
        FaultKind::Delay { millis } => format!("{millis} ms late"),
        FaultKind::Hang => "no answer".into(),
        FaultKind::HangAfter => "done, but no answer".into(),
        FaultKind::Cut => "hangs up".into(),
        FaultKind::CutAfter => "processes it, then hangs up".into(),
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
    let to = fault.to.as_ref().map(|to| format!(" to {to}"));
    format!("{what} {lasts}{}", to.unwrap_or_default())
}
