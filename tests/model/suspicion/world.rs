//! A state of the model: the jobs, the upstream's row, two workers' calls, a check call, and the actual fault.

use std::collections::BTreeSet;

use super::{
    queue::{QueuedJob, QueuedState},
    upstream::ModelUpstream,
};

/// A point in time. Only the order of times matters, so times are renumbered after each action. Without this, no two
/// states would ever be equal.
pub(crate) type Time = u8;

/// A recipient's index. The recipients that a firewall refuses come first.
pub(crate) type Recipient = usize;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SuspicionWorld {
    pub(crate) upstream: ModelUpstream,
    pub(crate) rows: Vec<QueuedJob>,
    /// Sorted, because the workers are interchangeable: states that differ only in the workers' names are equal.
    pub(crate) calls: [Option<ModelCall>; 2],
    /// When a successful regular check call began. Set until the success is recorded.
    pub(crate) passed_check: Option<Time>,
    pub(crate) fault: GeneralFault,
    /// Number of additional requests that the first recipient can still make.
    pub(crate) requests: u8,
    /// Number of deadlines that can still pass.
    pub(crate) deadlines: u8,
    /// For each recipient, when the open job or a job that it superseded was last probed. Unlike `probed_at` in the
    /// rows, this time does not depend on the safeguards.
    pub(crate) last_probes: Vec<Option<Time>>,
    pub(crate) marks: Marks,
}

/// A fault of the upstream that affects all recipients. It happens at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum GeneralFault {
    NotYet,
    Lasts,
    Over,
}

/// A claimed job and its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModelCall {
    pub(crate) job: usize,
    /// When the job was claimed. The call begins a little later.
    pub(crate) claimed_at: Time,
    pub(crate) began_at: Time,
    pub(crate) is_probe: bool,
    /// Whether the upstream was stopped or had suspects at the time of the claim. If so, a success must be recorded.
    pub(crate) has_suspects: bool,
    /// Whether, by the time of the claim, another recipient's call had succeeded since this job's first refusal.
    pub(crate) has_succeeded: bool,
    pub(crate) step: CallStep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum CallStep {
    OnWire,
    Succeeded,
    /// The upstream has refused the call. `failed_check` is the time at which the check call after the refusal began.
    /// It is `None` if the check call succeeded or was not made.
    Refused {
        failed_check: Option<Time>,
    },
    /// As far as the worker can tell, the refusal concerns only this recipient. The job must be retried or must fail.
    Personal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ModelResumedBy {
    Check,
    Job,
}

/// Events that the promises refer to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Marks {
    /// A recipient was probed again although another recipient had waited longer for a probe.
    pub(crate) probed_out_of_turn: bool,
    /// A success cleared suspects although the first suspect's call began after the successful call.
    pub(crate) cleared_too_early: bool,
    /// The upstream was stopped because of a call that began before the upstream was resumed.
    pub(crate) stopped_too_late: bool,
    /// The upstream was resumed while the general fault lasted.
    pub(crate) resumed_too_early: bool,
    /// What resumed the upstream in the last action. `None` if the last action did not resume it.
    pub(crate) just_resumed: Option<ModelResumedBy>,
}

impl SuspicionWorld {
    /// The initial state: one job for each recipient, in the order of the recipients.
    pub(crate) fn new(recipients: usize, requests: u8, deadlines: u8) -> Self {
        Self {
            upstream: ModelUpstream::default(),
            rows: (0..recipients).map(|recipient| QueuedJob::new(recipient, recipient)).collect(),
            calls: [None, None],
            passed_check: None,
            fault: GeneralFault::NotYet,
            requests,
            deadlines,
            last_probes: vec![None; recipients],
            marks: Marks::default(),
        }
    }

    /// Ends a job, and forgets when its recipient was last probed, so that the recipient's next job counts as not
    /// probed yet. The time is kept while an older job of the recipient is still open.
    pub(crate) fn end(&mut self, job: usize, state: QueuedState) {
        let recipient = self.rows[job].recipient;
        self.rows[job].end(state);
        if !self.rows[..job].iter().any(|row| row.recipient == recipient && row.is_open()) {
            self.last_probes[recipient] = None;
        }
    }

    /// A time that is later than all others.
    pub(crate) fn now(&self) -> Time {
        let mut last = 0;
        self.clone().each_time(|_, time| last = last.max(*time));
        last + 1
    }

    /// Normalises the state, so that two states are equal if no later action can distinguish them.
    pub(crate) fn normalize(&mut self) {
        // Keep the last success only if a job was refused before it. For later refusals, this success does not count.
        let first_refusal = self.rows.iter().filter_map(|row| row.refused_at).min();
        self.upstream.last_success_at =
            self.upstream.last_success_at.filter(|success| first_refusal.is_some_and(|refusal| refusal < *success));
        // Keep the last resume only if a call in flight began before it. For later calls, this resume does not matter.
        let first_call = self.calls.iter().flatten().map(|call| call.began_at).min();
        self.upstream.resumed_at =
            self.upstream.resumed_at.filter(|resumed| first_call.is_some_and(|began| began < *resumed));
        self.calls.sort_unstable();
        let (mut probes, mut calls) = (BTreeSet::new(), BTreeSet::new());
        self.each_time(|kind, time| match kind {
            TimeKind::Probe => _ = probes.insert(*time),
            TimeKind::Call => _ = calls.insert(*time),
            TimeKind::Event => {}
        });
        let rank = |among: &BTreeSet<Time>, time: Time| u8::try_from(among.range(..time).count()).unwrap_or(u8::MAX);
        self.each_time(|kind, time| {
            *time = match kind {
                TimeKind::Probe => rank(&probes, *time) + 1,
                TimeKind::Call => 2 * rank(&calls, *time) + 2,
                TimeKind::Event => 2 * rank(&calls, *time) + 1,
            };
        });
    }

    fn each_time(&mut self, mut each: impl FnMut(TimeKind, &mut Time)) {
        let Self { upstream, rows, calls, passed_check, last_probes, .. } = self;
        upstream.stop.iter_mut().for_each(|stop| each(TimeKind::Event, &mut stop.since));
        upstream.suspected_since.iter_mut().for_each(|time| each(TimeKind::Call, time));
        upstream.last_success_at.iter_mut().for_each(|time| each(TimeKind::Call, time));
        upstream.resumed_at.iter_mut().for_each(|time| each(TimeKind::Call, time));
        for row in rows {
            row.probed_at.iter_mut().for_each(|time| each(TimeKind::Probe, time));
            row.refused_at.iter_mut().for_each(|time| each(TimeKind::Event, time));
            row.spent_at.iter_mut().for_each(|time| each(TimeKind::Event, time));
        }
        for call in calls.iter_mut().flatten() {
            each(TimeKind::Event, &mut call.claimed_at);
            each(TimeKind::Call, &mut call.began_at);
            if let CallStep::Refused { failed_check: Some(time) } = &mut call.step {
                each(TimeKind::Call, time);
            }
        }
        passed_check.iter_mut().for_each(|time| each(TimeKind::Call, time));
        last_probes.iter_mut().flatten().for_each(|time| each(TimeKind::Probe, time));
    }
}

/// The kind of a time, which determines with which other times it is compared. Times of probes are compared only with
/// each other. Times of calls are compared with each other and with times of events. Events between the same two calls
/// get the same number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TimeKind {
    Probe,
    Call,
    Event,
}
