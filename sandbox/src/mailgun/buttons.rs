//! The mailbox page's buttons for bad days: each makes one fault in one of the stand-ins.

use crate::faults::{Fault, FaultKind, Faults, Lasts};

/// A button: its value in the form, its label, and what it does.
struct Button {
    name: &'static str,
    label: &'static str,
    fault: fn() -> Fault,
}

const BUTTONS: [Button; 8] = [
    Button { name: "500", label: "Next: 500", fault: || Fault::status(500) },
    Button { name: "500x3", label: "Next 3: 500", fault: || Fault::status(500).times(3) },
    Button { name: "429", label: "429 for 10 s", fault: || Fault::status(429).seconds(10) },
    Button { name: "slow", label: "Next: 3 s late", fault: || FaultKind::Delay { millis: 3000 }.into() },
    Button { name: "hang", label: "Next: no answer", fault: || FaultKind::Hang.into() },
    Button { name: "cut", label: "Next: cut off", fault: || FaultKind::Cut.into() },
    Button { name: "cut_after", label: "Next: done, then cut off", fault: || FaultKind::CutAfter.into() },
    Button { name: "always", label: "Always 500", fault: || Fault::status(500).always() },
];

/// The value of the button that ends the bad day.
const BACK_TO_NORMAL: &str = "clear";

/// Does what the button of this name says; false when there is none.
pub(super) fn press(faults: &Faults, name: &str) -> bool {
    if name == BACK_TO_NORMAL {
        faults.clear();
        return true;
    }
    let button = BUTTONS.iter().find(|button| button.name == name);
    button.map(|button| faults.add((button.fault)())).is_some()
}

/// One stand-in's row of buttons, with what is waiting to go wrong.
pub(super) fn render(target: &str, title: &str, faults: &Faults) -> String {
    let waiting = faults.list();
    let state = if waiting.is_empty() {
        "<span class=\"state fine\">normal</span>".to_owned()
    } else {
        let described: Vec<String> = waiting.iter().map(describe).collect();
        let described = crate::html::escape(&described.join(", then "));
        format!("<span class=\"state broken\">{described}</span>")
    };
    let buttons: String = BUTTONS
        .iter()
        .map(|button| (button.name, button.label, ""))
        .chain([(BACK_TO_NORMAL, "Back to normal", " class=\"normal\"")])
        .map(|(name, label, class)| format!("<button name=\"fault\" value=\"{name}\"{class}>{label}</button>"))
        .collect();
    format!(
        "<form method=\"post\" action=\"/faults\"><input type=\"hidden\" name=\"target\" \
         value=\"{target}\"><h3>{title} {state}</h3><div class=\"buttons\">{buttons}</div></form>"
    )
}

fn describe(fault: &Fault) -> String {
    let what = match &fault.kind {
        FaultKind::Status(answer) => answer.status.to_string(),
        FaultKind::StatusAfter(answer) => format!("done, but {}", answer.status),
        FaultKind::Delay { millis } => format!("{millis} ms late"),
        FaultKind::Hang => "no answer".into(),
        FaultKind::HangAfter => "done, but no answer".into(),
        FaultKind::Cut => "cut off".into(),
        FaultKind::CutAfter => "done, then cut off".into(),
    };
    let lasts = match fault.lasts {
        Lasts::Times(1) => "once".to_owned(),
        Lasts::Times(times) => format!("{times} times"),
        Lasts::Seconds(seconds) => format!("for {seconds} s"),
        Lasts::Always => "always".to_owned(),
    };
    let to = fault.to.as_ref().map(|to| format!(" to {to}"));
    format!("{what} {lasts}{}", to.unwrap_or_default())
}
