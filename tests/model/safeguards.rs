//! The safeguards on which the promises depend, each with a switch. For each safeguard, a test turns it off and asserts
//! that the checker finds a broken promise.

#[derive(Clone, Copy, Debug)]
pub(crate) struct Safeguards {
    /// Every write to a running job checks the fencing token from the claim (`lease_token = …`).
    pub(crate) fence: bool,
    /// A retry mails the job's sealed link instead of requesting a new link.
    pub(crate) link_is_kept: bool,
    /// The statement that seals a job's link ends the job instead if a newer job is waiting.
    pub(crate) check_on_seal: bool,
    /// The statement that requeues a job ends the job instead if a newer job is waiting.
    pub(crate) check_on_requeue: bool,
    /// Cancelling a running job only marks the job, which ends when its worker notices the mark. Without this
    /// safeguard, the job ends immediately.
    pub(crate) cancel_only_marks: bool,
    /// The statement that seals a job's link ends the job instead if the job is marked as cancelled.
    pub(crate) cancelled_on_seal: bool,
    /// The statement that requeues a job ends the job instead if the job is marked as cancelled.
    pub(crate) cancelled_on_requeue: bool,
    /// Jobs with an expired lease are requeued.
    pub(crate) rescue: bool,
    /// No job is claimed while another job for the same recipient is running.
    pub(crate) one_running_per_recipient: bool,
    /// When a job ends, its link is erased.
    pub(crate) link_is_erased: bool,
    /// An expired lease is never renewed, even if no other worker has claimed the job, because a rescue may be about to
    /// requeue the job.
    pub(crate) expired_lease_is_lost: bool,
    /// Right before calling `generate_link`, a worker checks by its own clock that its lease has not expired.
    pub(crate) clock_before_call: bool,
}

impl Safeguards {
    /// All safeguards are on, as in the outbox.
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
