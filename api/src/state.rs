//! What every request at the door needs: the rules of the settings, the limits' state and the way to the outbox.

use std::{io, sync::Arc};

use outbox::{Enqueued, GroupCommit, NewJob, PgPool, Report, ReportOutcome};

use crate::{
    admission::{decide::QueueLimits, queue_monitor::QueueMonitor},
    callback::{allowed_origins::AllowedOrigins, next::NextPrefixes},
    ip_limit::limiter::IpLimit,
    metrics,
    settings::{ApiSettings, WebhookSettings},
};

/// Shared by all requests.
#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) pool: PgPool,
    pub(crate) requests: GroupCommit<NewJob, Enqueued>,
    pub(crate) reports: GroupCommit<Report, ReportOutcome>,
    pub(crate) ip_limit: Arc<IpLimit>,
    pub(crate) allowed_origins: AllowedOrigins,
    pub(crate) callback_path: String,
    pub(crate) callback_next_prefixes: NextPrefixes,
    pub(crate) queue: Arc<QueueMonitor>,
    pub(crate) webhooks: WebhookSettings,
}

impl AppState {
    /// A door as set. Connects to nothing yet.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(crate) fn new(settings: &ApiSettings, pool: PgPool) -> io::Result<Arc<Self>> {
        let door = Self {
            requests: GroupCommit::of_requests(&pool, settings.admission.clone(), metrics::enqueue_commit)?,
            reports: GroupCommit::of_reports(&pool, metrics::webhook_commit)?,
            pool,
            ip_limit: Arc::new(IpLimit::new(
                settings.trusted_proxies.clone(),
                settings.ip_rate_limit,
                &settings.ip_rate_limit_overrides,
            )),
            allowed_origins: settings.allowed_origins.clone(),
            callback_path: settings.callback_path.clone(),
            callback_next_prefixes: settings.callback_next_prefixes.clone(),
            queue: Arc::new(QueueMonitor::new(QueueLimits {
                limit: settings.queue_limit,
                deadline: settings.admission.deadline,
            })),
            webhooks: settings.webhooks.clone(),
        };
        Ok(Arc::new(door))
    }
}
