//! The safeguards on which the promises depend, each with a switch. For each safeguard, a test turns it off and asserts
//! that the checker finds a broken promise.

#[derive(Clone, Copy, Debug)]
pub(crate) struct SuspicionGuards {
    /// A probe claims a job that has not been probed yet. If there is none, it claims the job that was probed longest
    /// ago.
    pub(crate) probes_take_turns: bool,
    /// A newer request inherits `probed_at` and `refused_at` from the waiting job that it supersedes.
    pub(crate) newer_inherits: bool,
    /// A newer request also inherits `probed_at` and `refused_at` from a running job that is superseded instead of
    /// being requeued.
    pub(crate) newer_inherits_from_running: bool,
    /// A success clears suspects only if the successful call began after the first suspect's call.
    pub(crate) clearing_call_began_later: bool,
    /// A success resumes an upstream only if the successful call began after the stop.
    pub(crate) resuming_call_began_later: bool,
    /// A failure stops an upstream only if the failed call began after the call that last resumed the upstream.
    pub(crate) stopping_call_began_later: bool,
    /// A check call resumes only upstreams that a check call has stopped.
    pub(crate) check_resumes_its_own: bool,
    /// Failures for three different recipients stop an upstream. Three failures for the same recipient do not.
    pub(crate) suspects_are_distinct: bool,
    /// A job fails at a second refusal only if, since the first refusal, a call for another recipient has begun and
    /// succeeded.
    pub(crate) success_since_refusal: bool,
    /// The success of another recipient's call counts only if it was recorded before the second refused call began.
    pub(crate) success_before_call: bool,
    /// A stop gives every waiting job its last attempt back. Without this safeguard, only jobs that were claimed after
    /// the first suspect's call began and whose retry is not due yet get it back.
    pub(crate) all_waiting_are_given_back: bool,
    /// A job that is requeued while the upstream is stopped gets its attempt back.
    pub(crate) put_back_looks_at_stop: bool,
}

impl SuspicionGuards {
    pub(crate) const ALL: Self = Self {
        probes_take_turns: true,
        newer_inherits: true,
        newer_inherits_from_running: true,
        clearing_call_began_later: true,
        resuming_call_began_later: true,
        stopping_call_began_later: true,
        check_resumes_its_own: true,
        suspects_are_distinct: true,
        success_since_refusal: true,
        success_before_call: true,
        all_waiting_are_given_back: true,
        put_back_looks_at_stop: true,
    };
}
