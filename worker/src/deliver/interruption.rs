//! The reasons why a delivery stops early.

use std::fmt;

use outbox::Failure;

/// Why a delivery must stop early.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Interruption {
    /// The lease is lost or is about to expire.
    LeaseLost,
    /// The worker is shutting down, and the time allowed for deliveries to finish is over.
    WorkerStopped,
}

impl Interruption {
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::LeaseLost => Failure::new("lease_lost", "The lease expired before it could be renewed."),
            Self::WorkerStopped => Failure::new("worker_stopped", "The worker was stopped."),
        }
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure().code)
    }
}
