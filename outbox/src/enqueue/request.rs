//! A validated request, the policy that applies to it, and its outcome.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::types::PgInterval;

use crate::model::{callback_url::CallbackUrl, email::Email, job_id::JobId, quota::Quotas, shown_host::ShownHost};

/// A request that passed the api's validation.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// A new id.
    pub id: JobId,
    /// The address that the link is mailed to.
    pub recipient: Email,
    /// The URL that the link takes the person to.
    pub callback_url: CallbackUrl,
    /// The portal's host as the mail shows it.
    pub shown_host: ShownHost,
    /// The mail's language, a BCP 47 tag.
    pub language: String,
    /// The time zone in which the mail shows times, a name from the tz database. `None` for UTC.
    pub time_zone: Option<String>,
    /// Id of the portal that the person signs in to: `^[a-z0-9][a-z0-9-]{0,31}$`. `None` if the deployment has no
    /// portals.
    pub portal: Option<String>,
    /// The portal's own quota per recipient, in addition to [`EnqueuePolicy::per_recipient`]. It counts only requests
    /// through this portal. Ignored without a `portal`.
    pub portal_quota: Option<Arc<Quotas>>,
    /// If the job is not sent within this time after its request, it expires. If `None`, [`EnqueuePolicy::deadline`]
    /// applies.
    pub deadline: Option<Duration>,
    /// The client's network, in the same form as for the IP limit. Used for
    /// [`EnqueuePolicy::per_recipient_and_client`].
    pub client: String,
    /// The request's `X-Request-Id`, 1 to 64 bytes.
    pub request_id: String,
    /// A valid W3C `traceparent`, if the request had one.
    pub traceparent: Option<String>,
}

/// The rules for accepting requests, and the default deadline for their jobs.
#[derive(Debug, Clone)]
pub struct EnqueuePolicy {
    /// Quotas per recipient, across all clients and portals.
    pub per_recipient: Quotas,
    /// Tighter quotas per recipient and client network.
    pub per_recipient_and_client: Quotas,
    /// If a recipient's last request is repeated within this time, the repeat counts as a double click.
    pub duplicate_window: Duration,
    /// If a job is not sent within this time after its request, it expires. A request may have its own deadline.
    pub deadline: Duration,
}

impl NewJob {
    /// The portal and its own quota, if it has one.
    pub(super) fn quota_of_portal(&self) -> Option<(&str, &Quotas)> {
        Some((self.portal.as_deref()?, self.portal_quota.as_deref()?))
    }

    /// The time from the request to the job's deadline. Whole microseconds, because Postgres has no smaller unit.
    pub(super) fn deadline_in(&self, policy: &EnqueuePolicy) -> PgInterval {
        let deadline = self.deadline.unwrap_or(policy.deadline);
        PgInterval { months: 0, days: 0, microseconds: i64::try_from(deadline.as_micros()).unwrap_or(i64::MAX) }
    }
}

/// Outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// The request's job waits for a worker, unless a newer request in the same batch has superseded it.
    Queued,
    /// A double click. The first request's mail serves both requests. This job's row is already in the history.
    Duplicate,
    /// The recipient is suppressed. The job's row is already in the history, as failed. The api's response must not
    /// reveal this.
    Suppressed,
    /// One of the recipient's quotas was exceeded. Nothing was written, and no quota was used up.
    Limited {
        /// Time until one more request is accepted.
        retry_after: Duration,
    },
}
