//! Generates the example `.env` that `magic-link-worker example-env` prints.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Setting, Settings, by_heading};

const INTRODUCTION: &str = "\
# Settings of magic-link-api and magic-link-worker. Save this file as .env in the directory from which you start them.
#
# The settings that are not commented out are required. Replace their example values, except that of LINK_SEALING_KEY,
# which is a new random key. Each commented-out setting shows its default, or no value if it has no default. Values with
# spaces need quotes. A $ has no special meaning. The environment takes precedence over this file.
";

/// Maximum length of a comment line.
const WIDTH: usize = 120;

pub(super) fn render(settings: &Settings) -> String {
    let mut file = INTRODUCTION.to_owned();
    // Each setting is written in full only once. The worker's settings come first, because the worker requires some
    // settings that are optional for the api.
    let mut written = BTreeSet::new();
    for (title, settings) in
        [("both programs", &settings.both), ("magic-link-worker", &settings.worker), ("magic-link-api", &settings.api)]
    {
        for (heading, settings) in by_heading(settings) {
            write!(file, "\n# ---- {heading} ({title}) ----\n").unwrap();
            for setting in settings {
                if written.insert(&setting.variable) {
                    write_setting(&mut file, setting);
                } else {
                    write_comment(&mut file, &format!("{}: see above. {}", setting.variable, setting.description));
                }
            }
        }
    }
    file
}

fn write_setting(file: &mut String, setting: &Setting) {
    let Setting { variable, default, is_required, description, example, .. } = setting;
    file.push('\n');
    let mark = if *is_required { "Required. " } else { "" };
    write_comment(file, &format!("{mark}{description} Example: {example}"));
    let value = default.as_deref().unwrap_or_default();
    let line = match (variable.as_str(), is_required) {
        ("LINK_SEALING_KEY", _) => "LINK_SEALING_KEY={LINK_SEALING_KEY}".to_owned(),
        (_, true) if example.contains(' ') => format!("{variable}=\"{example}\""),
        (_, true) => format!("{variable}={example}"),
        (_, false) => format!("#{variable}={value}"),
    };
    writeln!(file, "{line}").unwrap();
}

fn write_comment(file: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            writeln!(file, "{line}").unwrap();
            line = "#".to_owned();
        }
        line = line + " " + word;
    }
    writeln!(file, "{line}").unwrap();
}
