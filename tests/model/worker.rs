//! A worker and its delivery for the model's recipient, with the steps of `worker/src/deliver`: get a link, seal it,
//! send the mail, record the result.

use crate::table::{ModelLease, ModelLink};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ModelWorker {
    Idle,
    Busy(ModelDelivery),
}

/// A delivery in progress.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModelDelivery {
    pub(crate) lease: ModelLease,
    pub(crate) step: ModelStep,
    /// Whether the process is frozen: suspended, swapped out, or cut off from the network.
    pub(crate) frozen: bool,
    /// Whether, by the worker's own clock, its lease has expired and has not been renewed since.
    pub(crate) lapsed: bool,
}

/// The next step of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ModelStep {
    /// Call `generate_link`.
    GenerateLink,
    /// The call is in flight and has not been carried out yet.
    GeneratingLink,
    /// Seal the link, which Supabase has created (the response has arrived or is on its way).
    Seal(ModelLink),
    /// The mail is cleared for sending. The call to Mailgun is in flight or about to begin. No promise depends on the
    /// difference.
    Send(ModelLink),
    /// Record that Mailgun accepted the mail (the response has arrived or is on its way).
    RecordSent,
    /// Record that an upstream rejected the job.
    RecordFailed,
    /// Requeue the job.
    Requeue,
}

/// A call that its worker no longer waits for, but that may still be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OrphanedCall {
    GenerateLink(ModelLease),
    Send(ModelMail),
}

/// A mail that Mailgun accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModelMail {
    pub(crate) job: usize,
    pub(crate) link: ModelLink,
}

impl ModelWorker {
    /// Begins a delivery with the sealed link from an earlier attempt. If there is none, the delivery begins by
    /// requesting a link.
    pub(crate) fn begin(lease: ModelLease, link: Option<ModelLink>) -> Self {
        let step = link.map_or(ModelStep::GenerateLink, ModelStep::Seal);
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
    /// The call that may be in flight now.
    pub(crate) fn call(&self) -> Option<OrphanedCall> {
        match self.step {
            ModelStep::GeneratingLink => Some(OrphanedCall::GenerateLink(self.lease)),
            ModelStep::Send(link) => Some(OrphanedCall::Send(ModelMail { job: self.lease.job, link })),
            _ => None,
        }
    }

    /// Whether the delivery can be given up at this step, because of a stop, a lost lease, a response that asks for a
    /// later retry, or a missing response. Failures and requeues are always recorded. An accepted mail is not always
    /// recorded, because Mailgun's response may be lost.
    pub(crate) fn can_be_given_up(&self) -> bool {
        !matches!(self.step, ModelStep::RecordFailed | ModelStep::Requeue)
    }

    /// Whether an upstream can reject the job at this step.
    pub(crate) fn can_be_rejected(&self) -> bool {
        matches!(self.step, ModelStep::GeneratingLink | ModelStep::Seal(_) | ModelStep::Send(_))
    }
}
