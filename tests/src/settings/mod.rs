//! The settings of both programs, as their command lines define them. `cargo run --example write_settings` writes
//! docs/settings.md and the example `.env` from these settings.

mod env;
mod page;

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};

/// A setting of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable.
    pub variable: String,
    /// The heading under which `--help` lists the setting.
    pub heading: String,
    /// The default. `None` if the setting is required, or optional without a default.
    pub default: Option<String>,
    /// Whether the program requires the setting in order to start.
    pub is_required: bool,
    /// The description in `--help`, without the example.
    pub description: String,
    /// An example of a valid value, or a description of how to get one.
    pub example: String,
}

/// The settings of both programs, divided into identical settings and each program's other settings.
pub struct Settings {
    /// Settings that are identical in both programs, including their description and default.
    pub both: Vec<Setting>,
    /// The api's other settings. The worker may have a setting of the same name with another description or default.
    pub api: Vec<Setting>,
    /// The worker's other settings.
    pub worker: Vec<Setting>,
}

impl Settings {
    /// Reads the settings from the definitions of both programs' command lines.
    #[must_use]
    pub fn read() -> Self {
        let api = settings_of(&api::settings::ApiArguments::command());
        let worker = settings_of(&worker::settings::WorkerArguments::command());
        let both = api.iter().filter(|setting| worker.contains(setting)).cloned().collect::<Vec<_>>();
        let own = |settings: Vec<Setting>| settings.into_iter().filter(|setting| !both.contains(setting)).collect();
        Self { api: own(api), worker: own(worker), both }
    }

    /// The names of all settings.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.both.iter().chain(&self.api).chain(&self.worker).map(|setting| setting.variable.as_str())
    }

    /// Returns the generated files, each with the content that it must have.
    #[must_use]
    pub fn files(&self) -> [(PathBuf, String); 2] {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        [
            (workspace.join("docs/settings.md"), page::render(self)),
            (workspace.join("worker/templates/example.env"), env::render(self)),
        ]
    }
}

fn settings_of(command: &Command) -> Vec<Setting> {
    let with_variables = command.get_arguments().filter_map(|argument| Some((argument, argument.get_env()?)));
    let settings = with_variables.map(|(argument, variable)| {
        let variable = variable.to_str().unwrap().to_owned();
        let help = argument.get_help().unwrap_or_else(|| panic!("{variable} has no help text")).to_string();
        let (description, example) =
            help.split_once(" Example: ").unwrap_or_else(|| panic!("{variable} has no example: {help}"));
        let without_mark = description.strip_prefix("Required. ");
        let default = argument.get_default_values().first().map(|default| default.to_str().unwrap().to_owned());
        Setting {
            heading: argument.get_help_heading().unwrap_or_else(|| panic!("{variable} has no heading")).to_owned(),
            default: default.filter(|default| !default.is_empty()),
            is_required: without_mark.is_some(),
            description: without_mark.unwrap_or(description).to_owned(),
            example: example.to_owned(),
            variable,
        }
    });
    settings.collect()
}

/// The settings under each heading, in the order of `--help`.
fn by_heading(settings: &[Setting]) -> impl Iterator<Item = (&str, &[Setting])> {
    let groups = settings.chunk_by(|one, next| one.heading == next.heading);
    groups.map(|group| (group[0].heading.as_str(), group))
}
