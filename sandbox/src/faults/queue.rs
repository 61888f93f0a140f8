//! The faults that wait, and what they do to a call.

use super::{CannedAnswer, Fault, FaultKind, Lasts};
use crate::server::Cut;
use poem::{Response, http::StatusCode};
use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// What a provider says with a status when a fault names no body.
pub(crate) type UsualBody = fn(u16) -> String;

/// The faults of one stand-in. A clone is the same queue.
#[derive(Clone, Debug)]
pub struct Faults {
    queue: Arc<Mutex<Vec<WaitingCall>>>,
    last_failure: Arc<Mutex<Option<FaultKind>>>,
    changed: watch::Sender<u64>,
    usual_body: UsualBody,
}

#[derive(Clone, Debug)]
struct WaitingCall {
    fault: Fault,
    since: Instant,
}

impl WaitingCall {
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

    /// Queues a fault behind those that wait already.
    pub fn add(&self, fault: impl Into<Fault>) {
        let fault = fault.into();
        let since = Instant::now();
        self.with(|queue| queue.push(WaitingCall { fault, since }));
        self.touch();
    }

    /// Forgets every fault: a good day again. Calls that hang go on hanging.
    pub fn clear(&self) {
        self.with(Vec::clear);
        self.note_failure(None);
        self.touch();
    }

    /// Forgets the faults for which `is_kept` is false. Calls that hang go on hanging.
    pub fn retain(&self, is_kept: impl Fn(&Fault) -> bool) {
        self.with(|queue| queue.retain(|waiting| is_kept(&waiting.fault)));
        self.touch();
    }

    /// Those still waiting, with what is left of them.
    pub fn list(&self) -> Vec<Fault> {
        self.with(|queue| queue.iter().map(|waiting| waiting.fault.clone()).collect())
    }

    /// The fault that struck the last call; `None` if that call went well, or was only late.
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

    /// Takes the first fault meant for a call about `addresses`.
    fn take(&self, addresses: &[String]) -> Option<FaultKind> {
        let struck = self.with(|queue| {
            let waiting = queue.iter_mut().find(|waiting| waiting.is_for(addresses))?;
            if let Lasts::Times(times) = &mut waiting.fault.lasts {
                *times -= 1;
            }
            Some(waiting.fault.kind.clone())
        });
        if struck.is_some() {
            self.touch();
        }
        struck
    }

    /// Does `work` for a call that names no recipient. A fault for everybody strikes it and is not used up, unless it is for
    /// a single call only.
    pub(crate) async fn around_check(&self, work: impl FnOnce() -> Response) -> Response {
        let is_general = |fault: &Fault| fault.to.is_none() && fault.lasts != Lasts::Times(1);
        let kind =
            self.with(|queue| queue.iter().find(|waiting| is_general(&waiting.fault)).map(|it| it.fault.kind.clone()));
        self.strike(kind, work).await
    }

    /// Does `work` for a call about `addresses`, as well or as badly as the day is.
    pub(crate) async fn around(&self, addresses: &[String], work: impl FnOnce() -> Response) -> Response {
        self.strike(self.take(addresses), work).await
    }

    async fn strike(&self, kind: Option<FaultKind>, work: impl FnOnce() -> Response) -> Response {
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

    /// Those that are over are gone before anybody looks.
    fn with<R>(&self, work: impl FnOnce(&mut Vec<WaitingCall>) -> R) -> R {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.retain(|waiting| !waiting.is_over());
        let result = work(&mut queue);
        queue.retain(|waiting| !waiting.is_over());
        result
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

fn cut() -> Response {
    Response::builder().extension(Cut).finish()
}
