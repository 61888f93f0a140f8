//! What people read in the mail and on the confirm page: the words of each language, and dates, times and durations in
//! the format of that language.
//!
//! [`choose_language`] and [`choose_time_zone`] determine a person's language and time zone from a request. [`Words`]
//! contains the catalogues of all languages (Fluent, `catalogues/*.ftl`), and checks an operator's own words.
//! [`format_date`] and [`format_clock`] format dates and times according to Unicode CLDR. Callers add markup and
//! templates: a message is plain text, divided into [`Part`]s.

mod accept_language;
mod built_in;
mod cache;
mod catalogue;
mod check;
mod choose;
mod dates;
mod durations;
mod entries;
mod fault;
mod folder;
mod language;
mod part;
mod time_zone;
mod words;

pub use choose::{choose_language, choose_time_zone};
pub use dates::{Clock, days_between, format_clock, format_date};
pub use durations::format_duration;
pub use fault::{Fault, WordsError, problem_of_file};
pub use folder::{PORTALS_FOLDER, WORDS_FILE, WordsFolder};
pub use language::{Language, UnknownTag};
pub use part::{Part, Value};
pub use time_zone::{TimeZone, UnknownTimeZone};
pub use words::{OperatorCatalogue, Words};
