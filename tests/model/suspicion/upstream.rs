//! The upstream's row, which all workers share. The methods model statements of `outbox::upstreams`.

use super::{
    guards::SuspicionGuards,
    world::{Recipient, Time},
};

pub(crate) const MAX_SUSPECTS: usize = 3;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ModelUpstream {
    pub(crate) stop: Option<ModelStop>,
    /// The recipients whose calls failed. Sorted, so that states that differ only in the order of failures are equal.
    pub(crate) suspects: Vec<Recipient>,
    /// When the first suspect's call began.
    pub(crate) suspected_since: Option<Time>,
    /// When the latest recorded successful call began.
    pub(crate) last_success_at: Option<Time>,
    /// When the call that last resumed the upstream began.
    pub(crate) resumed_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModelStop {
    pub(crate) by: ModelStoppedBy,
    pub(crate) since: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ModelStoppedBy {
    Check,
    Suspects,
}

/// What a recorded refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelSuspicion {
    Personal,
    /// The upstream is stopped, or was resumed after the call began.
    IsStopped,
    /// The caller must stop the upstream, because the check call failed or this is the third suspect.
    Stops(ModelStoppedBy),
}

impl ModelUpstream {
    /// Whether a failed call is outdated, because a call that began later has resumed the upstream.
    fn is_outdated(&self, began: Time, guards: &SuspicionGuards) -> bool {
        self.resumed_at > Some(began) && guards.stopping_call_began_later
    }

    /// `stop`, without giving attempts back. Returns whether the upstream was running before and is stopped now.
    pub(crate) fn stop(&mut self, by: ModelStoppedBy, began: Time, now: Time, guards: &SuspicionGuards) -> bool {
        if self.is_outdated(began, guards) {
            return false;
        }
        let is_new = self.stop.is_none();
        let stop = self.stop.get_or_insert(ModelStop { by, since: now });
        if by == ModelStoppedBy::Check {
            stop.by = by;
        }
        self.suspects.clear();
        self.suspected_since = None;
        is_new
    }

    /// `suspect`.
    pub(crate) fn suspect(&mut self, recipient: Recipient, began: Time, guards: &SuspicionGuards) -> ModelSuspicion {
        if self.stop.is_some() || self.is_outdated(began, guards) {
            return ModelSuspicion::IsStopped;
        }
        if !self.suspects.contains(&recipient) || !guards.suspects_are_distinct {
            self.suspects.push(recipient);
            self.suspects.sort_unstable();
        }
        self.suspected_since.get_or_insert(began);
        match self.suspects.len() {
            MAX_SUSPECTS.. => ModelSuspicion::Stops(ModelStoppedBy::Suspects),
            _ => ModelSuspicion::Personal,
        }
    }

    /// `record_success`. Returns whether the success cleared suspects.
    pub(crate) fn record_success(&mut self, began: Time, guards: &SuspicionGuards) -> bool {
        self.last_success_at = self.last_success_at.max(Some(began));
        let clears = self.suspected_since.is_some_and(|since| since < began || !guards.clearing_call_began_later);
        if clears {
            self.suspects.clear();
            self.suspected_since = None;
        }
        clears
    }

    /// `resume`. Returns whether the upstream was stopped before and is resumed now.
    pub(crate) fn resume(&mut self, began: Time, is_check: bool, guards: &SuspicionGuards) -> bool {
        let resumes = self.stop.is_some_and(|stop| {
            (stop.since < began || !guards.resuming_call_began_later)
                && (stop.by == ModelStoppedBy::Check || !is_check || !guards.check_resumes_its_own)
        });
        if resumes {
            self.stop = None;
            self.resumed_at = Some(began);
        }
        resumes
    }

    /// Whether, since a job's first refusal, a call for another recipient has begun and succeeded.
    pub(crate) fn has_succeeded_since(&self, refused_at: Option<Time>, guards: &SuspicionGuards) -> bool {
        refused_at.is_some_and(|refused_at| self.last_success_at > Some(refused_at) || !guards.success_since_refusal)
    }
}
