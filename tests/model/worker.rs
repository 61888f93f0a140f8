//! A worker with its one delivery of this recipient, as `deliver.rs` has it: a link, the last look, the mail, the
//! record.

use crate::table::{ModelLease, ModelLink};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ModelWorker {
    Idle,
    Busy(ModelDelivery),
}

/// A claimed job on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModelDelivery {
    pub(crate) lease: ModelLease,
    pub(crate) step: ModelStep,
    /// The process stands still: stopped, swapped out, or without its network.
    pub(crate) frozen: bool,
    /// Its lease has run out by its own clock, and was not renewed since.
    pub(crate) lapsed: bool,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ModelStep {
    /// `generate_link` is to be called.
    Ask,
    /// The call is on the wire, and not yet carried out.
    Asking,
    /// The link is made (the answer is here or on its way) and is to be sealed.
    Seal(ModelLink),
    /// The mail is cleared. It is on the wire, or about to be: no promise depends on which.
    Send(ModelLink),
    /// Mailgun took the mail (the answer is here or on its way): to be recorded.
    RecordSent,
    /// An upstream refused the job for good: to be recorded.
    RecordFailed,
    /// The job is to wait again.
    Requeue,
}

/// A call that its worker no longer waits for, and that may be carried out all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Adrift {
    Ask(ModelLease),
    Send(ModelMail),
}

/// A mail that Mailgun took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModelMail {
    pub(crate) job: usize,
    pub(crate) link: ModelLink,
}

impl ModelWorker {
    /// A delivery that begins: with the sealed link of an earlier attempt, or by asking for one.
    pub(crate) fn begin(lease: ModelLease, link: Option<ModelLink>) -> Self {
        let step = link.map_or(ModelStep::Ask, ModelStep::Seal);
        Self::Busy(ModelDelivery { lease, step, frozen: false, lapsed: false })
    }

    pub(crate) fn delivery(&self) -> Option<&ModelDelivery> {
        match self {
            Self::Idle => None,
            Self::Busy(delivery) => Some(delivery),
        }
    }
}

impl ModelDelivery {
    /// The call that may be on the wire now.
    pub(crate) fn call(&self) -> Option<Adrift> {
        match self.step {
            ModelStep::Asking => Some(Adrift::Ask(self.lease)),
            ModelStep::Send(link) => Some(Adrift::Send(ModelMail { job: self.lease.job, link })),
            _ => None,
        }
    }

    /// Whether the delivery can be cut short here: by a stop, by a lost lease, by an answer that says "later" or does
    /// not come. What is to be recorded or put back is written down all the same; but the answer of a Mailgun that
    /// took the mail may not come either.
    pub(crate) fn can_be_given_up(&self) -> bool {
        !matches!(self.step, ModelStep::RecordFailed | ModelStep::Requeue)
    }

    /// Whether an upstream's answer can be that this job never succeeds.
    pub(crate) fn can_be_rejected(&self) -> bool {
        matches!(self.step, ModelStep::Asking | ModelStep::Seal(_) | ModelStep::Send(_))
    }
}
