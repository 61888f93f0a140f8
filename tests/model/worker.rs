//! A worker with its one delivery of this recipient, as `deliver.rs` has it: a link, the last look, the mail, the
//! record.

use crate::table::{Lease, Link};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Worker {
    Idle,
    Busy(Delivery),
}

/// A claimed job on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Delivery {
    pub(crate) lease: Lease,
    pub(crate) step: Step,
    /// The process stands still: stopped, swapped out, or without its network.
    pub(crate) frozen: bool,
    /// Its lease has run out by its own clock, and was not renewed since.
    pub(crate) lapsed: bool,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// `generate_link` is to be called.
    Ask,
    /// The call is on the wire, and not yet carried out.
    Asking,
    /// The link is made (the answer is here or on its way) and is to be sealed.
    Seal(Link),
    /// The mail is cleared. It is on the wire, or about to be: no promise depends on which.
    Send(Link),
    /// Mailgun took the mail (the answer is here or on its way): to be recorded.
    RecordSent,
    /// An upstream refused the job for good: to be recorded.
    RecordFailed,
    /// The job is to wait again.
    PutBack,
}

/// A call that its worker no longer waits for, and that may be carried out all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Adrift {
    Ask(Lease),
    Send(Mail),
}

/// A mail that Mailgun took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mail {
    pub(crate) job: usize,
    pub(crate) link: Link,
}

impl Worker {
    /// A delivery that begins: with the sealed link of an earlier attempt, or by asking for one.
    pub(crate) fn begin(lease: Lease, link: Option<Link>) -> Self {
        let step = link.map_or(Step::Ask, Step::Seal);
        Self::Busy(Delivery { lease, step, frozen: false, lapsed: false })
    }

    pub(crate) fn delivery(&self) -> Option<&Delivery> {
        match self {
            Self::Idle => None,
            Self::Busy(delivery) => Some(delivery),
        }
    }
}

impl Delivery {
    /// The call that may be on the wire now.
    pub(crate) fn call(&self) -> Option<Adrift> {
        match self.step {
            Step::Asking => Some(Adrift::Ask(self.lease)),
            Step::Send(link) => Some(Adrift::Send(Mail { job: self.lease.job, link })),
            _ => None,
        }
    }

    /// Whether the delivery can be cut short here: by a stop, by a lost lease, by an answer that says "later" or does
    /// not come. What is to be recorded or put back is written down all the same; but the answer of a Mailgun that
    /// took the mail may not come either.
    pub(crate) fn can_be_given_up(&self) -> bool {
        !matches!(self.step, Step::RecordFailed | Step::PutBack)
    }

    /// Whether an upstream's answer can be that this job never succeeds.
    pub(crate) fn can_be_rejected(&self) -> bool {
        matches!(self.step, Step::Asking | Step::Seal(_) | Step::Send(_))
    }
}
