//! Enqueues retries that operators have filed.

use std::time::Duration;

use sqlx::PgConnection;

use super::{
    decide::decide_retry,
    recipient_state::RecipientState,
    request::{EnqueuePolicy, Enqueued, NewJob},
    write::write,
};
use crate::model::ended_job::EndedJob;

/// A retry that has been decided but not yet written.
pub(crate) struct RetryPlan {
    state: RecipientState,
    decided: Enqueued,
}

/// Why the recipient's state does not allow a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryRefusal {
    /// The recipient is suppressed.
    Suppressed,
    /// The recipient's quota is used up.
    Limited {
        /// Time until the quota allows one more mail.
        retry_after: Duration,
    },
}

impl RetryPlan {
    /// Reads the recipient's state, and decides whether the retry may be written.
    pub(crate) async fn read(
        connection: &mut PgConnection,
        policy: &EnqueuePolicy,
        request: &NewJob,
    ) -> Result<Self, sqlx::Error> {
        let mut state = RecipientState::read(connection, policy, std::slice::from_ref(request)).await?;
        let decided = decide_retry(policy, &mut state, request);
        Ok(Self { state, decided })
    }

    /// Why the retry is refused. `None` if it may be written.
    pub(crate) fn refusal(&self) -> Option<RetryRefusal> {
        match self.decided {
            Enqueued::Limited { retry_after } => Some(RetryRefusal::Limited { retry_after }),
            Enqueued::Suppressed => Some(RetryRefusal::Suppressed),
            Enqueued::Queued | Enqueued::Duplicate => None,
        }
    }

    /// Adds the job. Fails with a collision if the recipient's quota row has changed since [`read`](Self::read).
    /// Returns the jobs that the new job supersedes.
    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        policy: &EnqueuePolicy,
        request: &NewJob,
    ) -> Result<Vec<EndedJob>, sqlx::Error> {
        write(connection, policy, &self.state, std::slice::from_ref(request), &[self.decided]).await
    }
}
