//! The queue of faults, and how a fault changes a call.

use super::{CannedAnswer, Fault, FaultKind, Lasts};
use crate::server::Cut;
use poem::{Response, http::StatusCode};
use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Returns a provider's usual body for a status, for faults that do not specify a body.
pub(crate) type UsualBody = fn(u16) -> String;

/// The faults of one stand-in. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Faults {
    queue: Arc<Mutex<Vec<QueuedFault>>>,
    last_failure: Arc<Mutex<Option<FaultKind>>>,
    changed: watch::Sender<u64>,
    usual_body: UsualBody,
}

#[derive(Clone, Debug)]
struct QueuedFault {
    fault: Fault,
    since: Instant,
}

impl QueuedFault {
    fn is_over(&self) -> bool {
        match self.fault.lasts {
            Lasts::Times(times) => times == 0,
            Lasts::Seconds(seconds) => self.since.elapsed() >= Duration::from_secs(seconds),
            Lasts::Always => false,
        }
    }

    fn is_for(&self, addresses: &[String]) -> bool {
        self.fault.to.as_ref().is_none_or(|to| addresses.iter().any(|address| address.eq_ignore_ascii_case(to)))
    }
}

impl Faults {
    pub(crate) fn new(usual_body: UsualBody) -> Faults {
        Faults { queue: Arc::default(), last_failure: Arc::default(), changed: watch::Sender::new(0), usual_body }
    }

    /// Adds a fault at the end of the queue.
    pub fn add(&self, fault: impl Into<Fault>) {
        let fault = fault.into();
        let since = Instant::now();
        self.with(|queue| queue.push(QueuedFault { fault, since }));
        self.touch();
    }

    /// Removes all faults. Calls that are already hanging stay unanswered.
    pub fn clear(&self) {
        self.with(Vec::clear);
        self.note_failure(None);
        self.touch();
    }

    /// Removes the faults for which `is_kept` is false. Calls that are already hanging stay unanswered.
    pub fn retain(&self, is_kept: impl Fn(&Fault) -> bool) {
        self.with(|queue| queue.retain(|queued| is_kept(&queued.fault)));
        self.touch();
    }

    /// The queued faults. [`Lasts::Times`] contains the number of calls left.
    pub fn list(&self) -> Vec<Fault> {
        self.with(|queue| queue.iter().map(|queued| queued.fault.clone()).collect())
    }

    /// The fault that was applied to the last call. `None` if that call succeeded or was only delayed, or if the faults
    /// have been cleared since.
    pub(crate) fn last_failure(&self) -> Option<FaultKind> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_failure(&self, failure: Option<&FaultKind>) {
        let mut last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != failure {
            *last = failure.cloned();
            drop(last);
            self.touch();
        }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes the first fault that applies to a call for the recipients `addresses`.
    fn take(&self, addresses: &[String]) -> Option<FaultKind> {
        let taken = self.with(|queue| {
            let queued = queue.iter_mut().find(|queued| queued.is_for(addresses))?;
            if let Lasts::Times(times) = &mut queued.fault.lasts {
                *times -= 1;
            }
            Some(queued.fault.kind.clone())
        });
        if taken.is_some() {
            self.touch();
        }
        taken
    }

    /// Applies a fault to a call that has no recipient: the first fault that is not limited to one recipient and does
    /// not end with the next call. The call does not reduce the fault's number of calls left. `work` carries out the
    /// call, unless the fault prevents this.
    pub(crate) async fn around_check(&self, work: impl FnOnce() -> Response) -> Response {
        let is_general = |fault: &Fault| fault.to.is_none() && fault.lasts != Lasts::Times(1);
        let kind =
            self.with(|queue| queue.iter().find(|queued| is_general(&queued.fault)).map(|it| it.fault.kind.clone()));
        self.apply(kind, work).await
    }

    /// Applies the first matching fault to a call for the recipients `addresses`. `work` carries out the call, unless
    /// the fault prevents this.
    pub(crate) async fn around(&self, addresses: &[String], work: impl FnOnce() -> Response) -> Response {
        self.apply(self.take(addresses), work).await
    }

    async fn apply(&self, kind: Option<FaultKind>, work: impl FnOnce() -> Response) -> Response {
        self.note_failure(kind.as_ref().filter(|kind| !matches!(kind, FaultKind::Delay { .. })));
        match kind {
            None => work(),
            Some(FaultKind::Status(answer)) => self.canned(&answer),
            Some(FaultKind::StatusAfter(answer)) => {
                work();
                self.canned(&answer)
            }
            Some(FaultKind::Delay { millis }) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                work()
            }
            Some(FaultKind::Hang) => pending().await,
            Some(FaultKind::HangAfter) => {
                work();
                pending().await
            }
            Some(FaultKind::Cut) => cut(),
            Some(FaultKind::CutAfter) => {
                work();
                cut()
            }
        }
    }

    fn canned(&self, answer: &CannedAnswer) -> Response {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::builder().status(status).content_type("application/json");
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        let usual = || (self.usual_body)(answer.status);
        response.body(answer.body.clone().unwrap_or_else(usual))
    }

    /// Runs `work` on the locked queue. Drops expired faults before and after.
    fn with<R>(&self, work: impl FnOnce(&mut Vec<QueuedFault>) -> R) -> R {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.retain(|queued| !queued.is_over());
        let result = work(&mut queue);
        queue.retain(|queued| !queued.is_over());
        result
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

fn cut() -> Response {
    Response::builder().extension(Cut).finish()
}
