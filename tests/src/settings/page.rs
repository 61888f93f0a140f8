//! Generates docs/settings.md.

use std::fmt::Write as _;

use super::{Setting, Settings, by_heading};

const INTRODUCTION: &str = "# Settings

Both programs read the environment, and `.env` in the working directory. The environment takes precedence. If a setting is missing or
wrong, the program exits with code 2 and prints one line per problem. `magic-link-worker example-env` prints a `.env` for both
programs with every setting. The first line that a program logs lists the settings that differ from their defaults, without keys and
other secrets.

A time is a whole number and a unit: `10s`, `15m`, `1h`, `1d`. A quota is a number and a time: `30/1m` means 30 per minute.

`just settings` writes this page from the `--help` of both programs.
";

pub(super) fn render(settings: &Settings) -> String {
    let mut page = INTRODUCTION.to_owned();
    for (title, settings) in [
        ("Both programs", &settings.both),
        ("`magic-link-api`", &settings.api),
        ("`magic-link-worker`", &settings.worker),
    ] {
        write!(page, "\n## {title}\n").unwrap();
        for (heading, settings) in by_heading(settings) {
            write!(page, "\n### {heading}\n\n| setting | default | description |\n|---|---|---|\n").unwrap();
            settings.iter().for_each(|setting| page += &row(setting));
        }
    }
    page
}

fn row(setting: &Setting) -> String {
    let Setting { variable, default, is_required, description, example, .. } = setting;
    // Some examples are descriptions, which already contain code spans.
    let example_code = if example.contains('`') { example.clone() } else { format!("`{example}`") };
    let example = match default {
        Some(default) if default == example => String::new(),
        _ => format!(" Example: {example_code}"),
    };
    let default = match default {
        Some(default) => format!("`{default}`"),
        None if *is_required => "required".to_owned(),
        None => String::new(),
    };
    format!("| `{variable}` | {default} | {}{example} |\n", description.replace('|', "\\|"))
}
