//! What the protocol's promises rest on, each with a switch: a test turns one off and must see a promise broken.

#[derive(Clone, Copy, Debug)]
pub(crate) struct Safeguards {
    /// Every write of a running job names the fencing token of its claim (`lease_token = …`).
    pub(crate) fence: bool,
    /// A retry mails the link that is sealed on the job, not a new one.
    pub(crate) link_is_kept: bool,
    /// The seal gives way to a newer waiting job.
    pub(crate) look_at_seal: bool,
    /// A put-back gives way to a newer waiting job.
    pub(crate) check_on_requeue: bool,
    /// Jobs whose lease has run out are put back.
    pub(crate) rescue: bool,
    /// No job is claimed while another of its recipient runs.
    pub(crate) one_runs: bool,
    /// A job that ends forgets its link.
    pub(crate) link_is_erased: bool,
    /// A lease that has run out is not renewed, even while nobody has taken the job: a rescue may be about to.
    pub(crate) run_out_is_lost: bool,
    /// Right before it asks for a link a worker looks at its own clock, and asks only within its lease.
    pub(crate) clock_before_call: bool,
}

impl Safeguards {
    /// The protocol as it is built.
    pub(crate) const ALL: Self = Self {
        fence: true,
        link_is_kept: true,
        look_at_seal: true,
        check_on_requeue: true,
        rescue: true,
        one_runs: true,
        link_is_erased: true,
        run_out_is_lost: true,
        clock_before_call: true,
    };
}
