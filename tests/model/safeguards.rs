//! The safeguards on which the promises rest, each with a switch. A test turns one off and must see a broken promise.

#[derive(Clone, Copy, Debug)]
pub(crate) struct Safeguards {
    /// Every write to a running job checks the fencing token from the claim (`lease_token = …`).
    pub(crate) fence: bool,
    /// A retry mails the link that is sealed on the job instead of making a new one.
    pub(crate) link_is_kept: bool,
    /// Sealing a link ends the job if a newer job is waiting.
    pub(crate) check_on_seal: bool,
    /// Requeueing ends the job if a newer job is waiting.
    pub(crate) check_on_requeue: bool,
    /// Cancelling a running job only marks it, and its worker ends it. Without this, the job ends at once.
    pub(crate) cancel_only_marks: bool,
    /// Sealing a link ends the job if it is marked as cancelled.
    pub(crate) cancelled_on_seal: bool,
    /// Requeueing ends the job if it is marked as cancelled.
    pub(crate) cancelled_on_requeue: bool,
    /// Jobs with an expired lease are requeued.
    pub(crate) rescue: bool,
    /// No job is claimed while another job of the same recipient is running.
    pub(crate) one_running_per_recipient: bool,
    /// Ending a job erases its link.
    pub(crate) link_is_erased: bool,
    /// An expired lease is never renewed, even if nobody has claimed the job: a rescue may be about to requeue it.
    pub(crate) expired_lease_is_lost: bool,
    /// Right before calling `generate_link`, a worker checks by its own clock that its lease has not expired.
    pub(crate) clock_before_call: bool,
}

impl Safeguards {
    /// The protocol as it is implemented.
    pub(crate) const ALL: Self = Self {
        fence: true,
        link_is_kept: true,
        check_on_seal: true,
        check_on_requeue: true,
        cancel_only_marks: true,
        cancelled_on_seal: true,
        cancelled_on_requeue: true,
        rescue: true,
        one_running_per_recipient: true,
        link_is_erased: true,
        expired_lease_is_lost: true,
        clock_before_call: true,
    };
}
