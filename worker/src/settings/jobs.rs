//! The arguments of `magic-link-worker jobs`.
#![allow(rustdoc::invalid_html_tags, reason = "--help shows the same text")]

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use outbox::{DeliveryStatus, Email, JobId, JobState, parse_duration};

/// The default of `--since` for `jobs show` and `jobs list`.
pub const DEFAULT_SINCE: &str = "1d";

/// The default of `--since` for `jobs retry`.
pub const DEFAULT_RETRY_SINCE: &str = "1h";

/// The subcommands of `jobs`.
#[derive(Subcommand)]
pub enum JobsCommand {
    /// Lists the open jobs, and the ended jobs that were requested within the last day (--since changes this), newest
    /// first. If there are more jobs, prints the command for the next page.
    List(ListArguments),
    /// Shows what happened to one job: the request, each attempt, each report from Mailgun, the current state, and what
    /// happens next.
    Show(ShowArguments),
    /// Prints each change to a job as one line, until Ctrl-C. Starts with the ten newest jobs.
    Tail(TailArguments),
    /// Cancels open jobs. Jobs given by id are cancelled immediately. With a filter, the selected jobs are only
    /// printed, unless --yes is given. A job whose mail may be on its way is not cancelled. Needs the
    /// magic_link_operator role.
    Cancel(CancelArguments),
    /// Retries ended jobs, as if the people had requested their links again. Jobs given by id are retried immediately.
    /// With a filter, the selected jobs are only printed, unless --yes is given. A running api performs the retries. A
    /// retry that would harm the person is refused, and the reason is printed. Needs the magic_link_operator role.
    Retry(RetryArguments),
}

/// The options that select jobs.
#[derive(Args, Clone)]
pub struct FilterArguments {
    /// Only jobs in this state.
    #[arg(long, value_name = "STATE", value_parser = state_parser())]
    pub state: Option<JobState>,
    /// Only jobs that last failed or ended with this code. Example: hook_failed
    #[arg(long, value_name = "CODE", value_parser = parse_code)]
    pub code: Option<String>,
    /// Only jobs for this portal. `default` stands for jobs without a portal. Example: shop
    #[arg(long, value_name = "ID", value_parser = parse_portal)]
    pub portal: Option<String>,
    /// Only jobs for this address. Example: ann@example.com
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    pub recipient: Option<String>,
    /// Only jobs for addresses at this domain. Example: example.com
    #[arg(long, value_name = "DOMAIN", value_parser = parse_domain)]
    pub domain: Option<String>,
    /// Only jobs that the request with this X-Request-Id created.
    #[arg(long, value_name = "REQUEST-ID", value_parser = parse_request_id)]
    pub request_id: Option<String>,
    /// Only jobs whose mail has this delivery status.
    #[arg(long, value_name = "STATUS", value_parser = delivery_parser())]
    pub delivery: Option<DeliveryStatus>,
}

/// The arguments of `jobs list`.
#[derive(Args)]
pub struct ListArguments {
    /// Which jobs to list.
    #[command(flatten)]
    pub filter: FilterArguments,
    /// Only ended jobs that were requested since this time, or within this span of time before now. Open jobs are
    /// always listed. Example: 2026-11-26T03:00Z or 7d
    #[arg(long, value_name = "TIME", default_value = DEFAULT_SINCE, value_parser = parse_since)]
    pub since: Since,
    /// Maximum number of jobs, 1 to 1000.
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub limit: u16,
    /// Only jobs older than this job. The command that is printed for the next page uses this option.
    #[arg(long, value_name = "JOB-ID", value_parser = parse_job_id)]
    pub before: Option<JobId>,
    /// The output format.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// The arguments of `jobs show`.
#[derive(Args)]
pub struct ShowArguments {
    /// The id of a job, the X-Request-Id of a request, or an address, which stands for the person's newest job.
    #[arg(value_name = "JOB-ID|REQUEST-ID|ADDRESS", value_parser = parse_target)]
    pub target: Target,
    /// How far back to look for an X-Request-Id that the api's caller chose. Ids that the api generated are found at
    /// any age. Example: 7d
    #[arg(long, value_name = "TIME", default_value = DEFAULT_SINCE, value_parser = parse_since)]
    pub since: Since,
    /// The output format.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// The arguments of `jobs tail`.
#[derive(Args)]
pub struct TailArguments {
    /// The output format.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// The arguments of `jobs cancel`.
#[derive(Args)]
pub struct CancelArguments {
    /// The ids of open jobs.
    #[arg(value_name = "JOB-ID", value_parser = parse_job_id)]
    pub ids: Vec<JobId>,
    /// Which open jobs to cancel if no ids are given.
    #[command(flatten)]
    pub filter: FilterArguments,
    /// The reason, the confirmation and the output format.
    #[command(flatten)]
    pub act: ActArguments,
}

/// The arguments of `jobs retry`.
#[derive(Args)]
pub struct RetryArguments {
    /// The ids of ended jobs.
    #[arg(value_name = "JOB-ID", value_parser = parse_job_id)]
    pub ids: Vec<JobId>,
    /// Which ended jobs to retry if no ids are given.
    #[command(flatten)]
    pub filter: FilterArguments,
    /// With a filter: only jobs that were requested since this time, or within this span of time before now. Requests
    /// that are more than an hour old are never retried. Example: 20m
    #[arg(long, value_name = "TIME", default_value = DEFAULT_RETRY_SINCE, value_parser = parse_since)]
    pub since: Since,
    /// The reason, the confirmation and the output format.
    #[command(flatten)]
    pub act: ActArguments,
}

/// The options that `jobs cancel` and `jobs retry` share.
#[derive(Args)]
pub struct ActArguments {
    /// The reason, at most 500 bytes. It is recorded in operator_actions. Example: "Mailgun was down"
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub reason: Option<String>,
    /// With a filter: cancel or retry the selected jobs. Without this flag, the command only prints them.
    #[arg(long)]
    pub yes: bool,
    /// The output format.
    #[command(flatten)]
    pub format: FormatArguments,
}

impl FilterArguments {
    /// Whether the filter selects all jobs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { state, code, portal, recipient, domain, request_id, delivery } = self;
        let texts = [code, portal, recipient, domain, request_id];
        state.is_none() && delivery.is_none() && texts.iter().all(|text| text.is_none())
    }
}

/// How to print jobs.
#[derive(Args, Clone, Copy)]
pub struct FormatArguments {
    /// Print JSON for scripts: one object per line.
    #[arg(long)]
    pub json: bool,
    /// Print full addresses instead of a***@example.com.
    #[arg(long)]
    pub addresses: bool,
}

/// Which job to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The newest job for this address.
    Person(String),
    /// The job with this id, or, if there is none, the job that the request with this id created.
    Id(JobId),
    /// The job that the request with this `X-Request-Id` created.
    Request(String),
}

/// A start time: either a fixed time, or a span of time before now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// The text that the operator typed.
    text: String,
    start: Start,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Start {
    Ago(Duration),
    At(DateTime<Utc>),
}

impl Since {
    /// The text that the operator typed, for a command that is printed. `None` if it is the command's default.
    #[must_use]
    pub fn unless(&self, default: &str) -> Option<&str> {
        Some(self.text.as_str()).filter(|text| *text != default)
    }

    /// The start time for a command that runs at `now`.
    #[must_use]
    pub fn start(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self.start {
            Start::At(time) => time,
            Start::Ago(span) => {
                let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
                now.checked_sub_signed(span).unwrap_or(DateTime::UNIX_EPOCH)
            }
        }
    }
}

fn state_parser() -> impl TypedValueParser<Value = JobState> {
    let names = PossibleValuesParser::new(JobState::ALL.map(JobState::as_str));
    names.try_map(|name| JobState::ALL.into_iter().find(|state| state.as_str() == name).ok_or("unknown state"))
}

fn delivery_parser() -> impl TypedValueParser<Value = DeliveryStatus> {
    let names = PossibleValuesParser::new(DeliveryStatus::ALL.map(DeliveryStatus::as_str));
    names.try_map(|name| DeliveryStatus::ALL.into_iter().find(|status| status.as_str() == name).ok_or("unknown status"))
}

fn parse_code(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    checked(text, 64, is_plain, "a code must have 1 to 64 characters: a to z, 0 to 9 and _")
}

fn parse_portal(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    checked(text, 32, is_plain, "a portal id must have 1 to 32 characters: a to z, 0 to 9 and -")
}

fn parse_request_id(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    checked(text, 64, is_plain, "a request id must have 1 to 64 characters: A to Z, a to z, 0 to 9, `.`, `_` and -")
}

fn checked(text: &str, longest: usize, is_plain: impl Fn(u8) -> bool, rule: &str) -> Result<String, String> {
    let text = text.trim();
    let is_good = (1..=longest).contains(&text.len()) && text.bytes().all(is_plain);
    if is_good { Ok(text.to_owned()) } else { Err(rule.to_owned()) }
}

/// Parses the reason for an action: 1 to 500 bytes, without control characters.
pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if (1..=500).contains(&text.len()) && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("a reason must be 1 to 500 bytes long and must not contain control characters".to_owned())
    }
}

fn parse_job_id(text: &str) -> Result<JobId, String> {
    text.trim().parse().map_err(|_| "a job id must be a UUID".to_owned())
}

/// Parses an address in the same way as the api. Also accepts addresses that the api now rejects, because old rows may
/// contain them.
fn parse_address(text: &str) -> Result<String, String> {
    let address =
        Email::parse(text).or_else(|error| Email::from_stored(&text.trim().to_lowercase()).map_err(|_| error));
    address.map(|address| address.as_str().to_owned()).map_err(|error| error.to_string())
}

fn parse_domain(text: &str) -> Result<String, String> {
    let address = parse_address(&format!("name@{}", text.trim().trim_start_matches('@')));
    match address.as_deref().map(|address| address.split_once('@')) {
        Ok(Some((_, domain))) => Ok(domain.to_owned()),
        _ => Err("must be a domain such as example.com".to_owned()),
    }
}

fn parse_target(text: &str) -> Result<Target, String> {
    if text.contains('@') {
        return parse_address(text).map(Target::Person);
    }
    if let Ok(id) = text.trim().parse() {
        return Ok(Target::Id(id));
    }
    parse_request_id(text).map(Target::Request)
}

fn parse_since(text: &str) -> Result<Since, String> {
    let text = text.trim();
    let start = match parse_duration(text) {
        Ok(span) => Start::Ago(span),
        Err(_) => {
            Start::At(parse_time(text).ok_or("must be a time such as 2026-11-26T03:00Z, or a span such as 1h or 7d")?)
        }
    };
    Ok(Since { text: text.to_owned(), start })
}

/// Parses an RFC 3339 time. The seconds can be omitted if the time ends with `Z`.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let full = DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc));
    full.ok().or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%MZ").ok().map(|time| time.and_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_domains_are_read_as_the_api_reads_them() {
        assert_eq!(parse_address(" Ann@Müller.example ").unwrap(), "ann@xn--mller-kva.example");
        assert_eq!(parse_domain("@Müller.example").unwrap(), "xn--mller-kva.example");
        assert!(parse_domain("a b").is_err() && parse_domain("").is_err() && parse_address("ann").is_err());
    }

    #[test]
    fn a_target_is_an_address_a_uuid_or_a_request_id() {
        let id = "01994b7e-3c1f-7a52-9d6e-0a1b2c3d4e5f";
        assert_eq!(parse_target(id), Ok(Target::Id(id.parse().unwrap())));
        assert_eq!(parse_target("ANN@example.com"), Ok(Target::Person("ann@example.com".to_owned())));
        assert_eq!(parse_target("trace.1_2"), Ok(Target::Request("trace.1_2".to_owned())));
        for wrong in ["", "a b", "'; drop table", "ann@", &"a".repeat(65)] {
            assert!(parse_target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_start_may_be_a_time_or_a_span() {
        let now = parse_time("2026-11-26T12:00:00Z").unwrap();
        for (text, start) in [
            ("1h", "2026-11-26T11:00Z"),
            ("7d", "2026-11-19T12:00Z"),
            ("2026-11-26T03:00Z", "2026-11-26T03:00Z"),
            ("2026-11-26T03:00:00+01:00", "2026-11-26T02:00Z"),
        ] {
            assert_eq!(Some(parse_since(text).unwrap().start(now)), parse_time(start), "{text}");
        }
        for wrong in ["", "yesterday", "2026-11-26", "0h"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }
}
