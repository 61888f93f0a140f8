//! Lists the settings that differ from their defaults, for the first line of the log.

use clap::{ArgMatches, Command, parser::ValueSource};

/// Returns the settings in `public` that the environment or the command line has changed, as `NAME=value NAME=value`.
/// The values are logged, so `public` must not contain the name of a variable whose value contains a secret or a
/// person's address.
#[must_use]
pub fn changed_settings(command: &Command, matches: &ArgMatches, public: &[&str]) -> String {
    let changed = command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env()?.to_str().filter(|variable| public.contains(variable))?;
        let id = argument.get_id().as_str();
        if matches.value_source(id)? == ValueSource::DefaultValue {
            return None;
        }
        let value = matches.get_raw(id)?.next_back()?.to_string_lossy();
        let is_default = argument.get_default_values().iter().any(|default| default.to_string_lossy() == value);
        // Quotes show where an empty value or a value with white space ends. Control characters are escaped so that
        // they cannot break the line.
        let needs_quotes = value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control());
        let value = if needs_quotes { format!("{value:?}") } else { value.into_owned() };
        (!is_default).then(|| format!("{variable}={value}"))
    });
    changed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn only_public_settings_that_were_changed_are_shown() {
        let command = Command::new("program")
            .arg(Arg::new("rate").long("rate").env("RATE_OF_TEST").default_value("1/s"))
            .arg(Arg::new("paths").long("paths").env("PATHS_OF_TEST"))
            .arg(Arg::new("key").long("key").env("KEY_OF_TEST"))
            .arg(Arg::new("odd").long("odd").env("ODD_OF_TEST").default_value("x"));
        let shown = |arguments: &[&str]| {
            let matches = command.clone().get_matches_from([&["program"], arguments].concat());
            changed_settings(&command, &matches, &["RATE_OF_TEST", "PATHS_OF_TEST", "ODD_OF_TEST"])
        };
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&["--rate=1/s", "--key=sesame"]), "");
        assert_eq!(shown(&["--rate=2/s", "--paths=/a,/b"]), "RATE_OF_TEST=2/s PATHS_OF_TEST=/a,/b");
        assert_eq!(shown(&["--odd=a\nb", "--paths="]), r#"PATHS_OF_TEST="" ODD_OF_TEST="a\nb""#);
    }
}
