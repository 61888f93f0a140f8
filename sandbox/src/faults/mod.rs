//! Faults on demand: what a provider does on a bad day, told to a stand-in by a test, by the mailbox
//! page or over HTTP. They wait in a queue; each call takes the first one that is meant for it.
//!
//! The HTTP side, on each stand-in: `GET /_sandbox/faults` lists them, `DELETE` forgets them all,
//! `POST` with `content-type: application/json` adds one:
//! ```json
//! {"kind": "status", "status": 500, "lasts": {"times": 3}, "to": "ada@example.com"}
//! {"kind": "status", "status": 429, "headers": {"Retry-After": "10"}, "lasts": {"seconds": 10}}
//! {"kind": "cut_after"}
//! {"kind": "delay", "millis": 500, "lasts": "always"}
//! ```
//! Kinds: `status`, `status_after`, `delay`, `hang`, `hang_after`, `cut`, `cut_after`. Without `lasts`
//! a fault strikes once; without `to` it strikes whoever comes.

mod api;
mod queue;

pub(crate) use api::routes;
pub use queue::Faults;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// Nothing is done; this is answered.
    Status(CannedAnswer),
    /// The request is carried out, then this is answered: a 500 for a mail that was taken.
    StatusAfter(CannedAnswer),
    /// Waits, then does and answers as on a good day.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// Nothing is done and nothing is answered, until the client leaves.
    Hang,
    /// The request is carried out, but the answer never comes.
    HangAfter,
    /// Nothing is done; the connection is closed without an answer.
    Cut,
    /// The request is carried out; the connection is closed without an answer.
    CutAfter,
}

/// An answer made up beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CannedAnswer {
    /// 100 to 999.
    pub status: u16,
    /// The body; without one, what the provider is known to say with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Further headers; `content-type` is `application/json` unless named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// How often or how long a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasts {
    /// This many calls.
    Times(u32),
    /// Every call within this many seconds from now.
    Seconds(u64),
    /// Every call until it is cleared.
    Always,
}

/// A fault waiting for a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How often; once, if not said.
    #[serde(default = "once")]
    pub lasts: Lasts,
    /// Only for calls about this e-mail address, letter case aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

fn once() -> Lasts {
    Lasts::Times(1)
}

impl From<FaultKind> for Fault {
    /// Strikes once, whoever comes.
    fn from(kind: FaultKind) -> Self {
        Fault { kind, lasts: once(), to: None }
    }
}

impl Fault {
    /// Answers `status`, with what the provider says then, and does nothing.
    pub fn status(status: u16) -> Fault {
        FaultKind::Status(CannedAnswer::new(status)).into()
    }

    /// Answers `status` with a body of your own, and does nothing.
    pub fn answer(status: u16, body: impl Into<String>) -> Fault {
        let answer = CannedAnswer { body: Some(body.into()), ..CannedAnswer::new(status) };
        FaultKind::Status(answer).into()
    }

    /// Carries the request out, then answers `status`.
    pub fn status_after(status: u16) -> Fault {
        FaultKind::StatusAfter(CannedAnswer::new(status)).into()
    }

    /// Adds a header to a `status` or `status_after` fault.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Fault {
        if let FaultKind::Status(answer) | FaultKind::StatusAfter(answer) = &mut self.kind {
            answer.headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// Strikes this many calls.
    #[must_use]
    pub fn times(self, times: u32) -> Fault {
        let lasts = Lasts::Times(times);
        Fault { lasts, ..self }
    }

    /// Strikes every call within this many seconds.
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Fault {
        let lasts = Lasts::Seconds(seconds);
        Fault { lasts, ..self }
    }

    /// Strikes until it is cleared.
    #[must_use]
    pub fn always(self) -> Fault {
        let lasts = Lasts::Always;
        Fault { lasts, ..self }
    }

    /// Strikes only calls about this address.
    #[must_use]
    pub fn to(self, address: &str) -> Fault {
        let to = Some(address.to_owned());
        Fault { to, ..self }
    }
}

impl CannedAnswer {
    fn new(status: u16) -> CannedAnswer {
        CannedAnswer { status, body: None, headers: BTreeMap::new() }
    }
}
