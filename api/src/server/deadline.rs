//! Tracks what a connection is waiting for, and until when.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::open_connections::OpenConnection;

/// Time limit for a request's head to arrive. It starts when the connection is accepted or, for a later request, when
/// the first byte of the head arrives.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for handling a request. Handlers have their own, shorter limits. This limit is a safety net.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit between two writes of a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// What the connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for the first byte of the first request.
    Opened,
    /// Waiting for the rest of a request's head.
    Head,
    /// Waiting for the handler, and for the request body that it reads.
    Handler,
    /// Waiting for the caller to receive the response.
    Response,
    /// Waiting for the caller to send another request.
    Idle,
}

/// The current phase and the time by which it must end.
#[derive(Debug)]
pub(super) struct ConnectionDeadline {
    connection: OpenConnection,
    keep_alive: Duration,
    state: Mutex<(Phase, Instant)>,
}

impl ConnectionDeadline {
    /// Creates the deadline of a connection that has just been accepted. The connection may be idle between requests
    /// for `keep_alive`.
    pub(super) fn new(connection: OpenConnection, keep_alive: Duration) -> Self {
        Self { connection, keep_alive, state: Mutex::new((Phase::Opened, Instant::now() + HEAD_TIMEOUT)) }
    }

    /// The connection's entry in the list of the listener's open connections.
    pub(super) fn connection(&self) -> &OpenConnection {
        &self.connection
    }

    /// Records that the handler has been called.
    pub(super) fn note_request(&self) {
        self.enter(Phase::Handler);
    }

    /// Records that the handler has returned a response.
    pub(super) fn note_response(&self) {
        self.enter(Phase::Response);
    }

    /// Records that bytes were read from the socket. The first byte of a head starts the head's time limit, except for
    /// the first head, whose limit started when the connection was accepted. Further bytes do not extend the limit.
    pub(super) fn note_read(&self) {
        match self.phase() {
            Phase::Opened => self.state().0 = Phase::Head,
            Phase::Response | Phase::Idle => self.enter(Phase::Head),
            Phase::Head | Phase::Handler => {}
        }
    }

    /// Records that bytes were written to the socket.
    pub(super) fn note_write(&self) {
        if matches!(self.phase(), Phase::Response | Phase::Idle) {
            self.enter(Phase::Response);
        }
    }

    /// Records that hyper has written everything to the socket.
    pub(super) fn note_flush(&self) {
        if self.phase() == Phase::Response {
            self.enter(Phase::Idle);
        }
    }

    /// What the connection is waiting for.
    pub(super) fn phase(&self) -> Phase {
        self.state().0
    }

    /// The time by which the current phase must end.
    pub(super) fn get(&self) -> Instant {
        self.state().1
    }

    fn enter(&self, phase: Phase) {
        let timeout = match phase {
            Phase::Opened | Phase::Head => HEAD_TIMEOUT,
            Phase::Handler => HANDLER_TIMEOUT,
            Phase::Response => RESPONSE_TIMEOUT,
            Phase::Idle => self.keep_alive,
        };
        let (before, _) = std::mem::replace(&mut *self.state(), (phase, Instant::now() + timeout));
        match (before, phase) {
            (Phase::Idle, Phase::Idle) => {}
            (_, Phase::Idle) => self.connection.note_idle(),
            (Phase::Idle, _) => self.connection.note_busy(),
            _ => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, (Phase, Instant)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::server::open_connections::OpenConnections;

    const KEEP_ALIVE: Duration = Duration::from_secs(620);

    fn deadline() -> ConnectionDeadline {
        let connections = OpenConnections::new(10, |_| ());
        ConnectionDeadline::new(connections.add(CancellationToken::new()), KEEP_ALIVE)
    }

    fn assert_waits(deadline: &ConnectionDeadline, phase: Phase, timeout: Duration) {
        assert_eq!(deadline.phase(), phase);
        let left = deadline.get() - Instant::now();
        assert!(left <= timeout && left + Duration::from_secs(2) > timeout, "{phase:?}: {left:?}");
    }

    #[tokio::test]
    async fn each_phase_has_its_own_time_limit() {
        let deadline = deadline();
        assert_waits(&deadline, Phase::Opened, HEAD_TIMEOUT);
        deadline.note_read();
        assert_waits(&deadline, Phase::Head, HEAD_TIMEOUT);
        deadline.note_request();
        assert_waits(&deadline, Phase::Handler, HANDLER_TIMEOUT);
        deadline.note_response();
        assert_waits(&deadline, Phase::Response, RESPONSE_TIMEOUT);
        deadline.note_write();
        assert_waits(&deadline, Phase::Response, RESPONSE_TIMEOUT);
        deadline.note_flush();
        assert_waits(&deadline, Phase::Idle, KEEP_ALIVE);
        deadline.note_read();
        assert_waits(&deadline, Phase::Head, HEAD_TIMEOUT);
    }

    #[tokio::test]
    async fn further_bytes_of_a_head_do_not_extend_its_time_limit() {
        let deadline = deadline();
        for _ in 0..2 {
            let until = deadline.get();
            deadline.note_read();
            deadline.note_read();
            assert_eq!(deadline.get(), until);
        }
    }

    #[tokio::test]
    async fn a_response_written_in_parts_is_not_idle_between_the_parts() {
        let deadline = deadline();
        deadline.note_response();
        deadline.note_flush();
        deadline.note_write();
        assert_waits(&deadline, Phase::Response, RESPONSE_TIMEOUT);
    }

    #[tokio::test]
    async fn writes_before_the_response_change_nothing() {
        let deadline = deadline();
        deadline.note_request();
        // hyper requests the body with "100 Continue".
        deadline.note_write();
        deadline.note_flush();
        assert_waits(&deadline, Phase::Handler, HANDLER_TIMEOUT);
    }
}
