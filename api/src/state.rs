//! The state that all request handlers share: the connection pool, the group commits, the rate limiter, the queue
//! monitor and the checked settings.

use std::{io, sync::Arc};

use outbox::{
    EnqueuePolicy, Enqueued, GroupCommit, NewJob, PgPool, PoolerMonitor, ProgramKind, Report, ReportOutcome,
    programs::{Program, ProgramReporter, ProgramsSummary},
};
use program::Live;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    admission::{decide::QueueLimits, queue_monitor::QueueMonitor},
    callback::refused_origins::RefusedOrigins,
    confirm_page::ConfirmPage,
    document::PublishedLimits,
    ip_limit::limiter::{IpRateLimiter, QuotaOverrides},
    metrics,
    portal::{PortalList, live::LiveSettings, readiness::PortalReadiness},
    settings::{ApiSettings, WebhookSettings},
    webhook::log::WebhookLog,
};

/// The committer for requests, its helper and the committer for webhooks use one connection each.
const COMMITTER_CONNECTIONS: u32 = 3;

#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) pool: PgPool,
    /// The quotas, the duplicate window and the default deadline for new jobs.
    pub(crate) enqueue_policy: EnqueuePolicy,
    pub(crate) requests: GroupCommit<NewJob, Enqueued>,
    pub(crate) reports: GroupCommit<Report, ReportOutcome>,
    pub(crate) ip_limiter: Arc<IpRateLimiter>,
    /// The portals and the messages in `MAIL_TEMPLATES`, which SIGHUP reloads.
    pub(crate) live: Arc<Live<LiveSettings>>,
    /// The portals that no running worker has loaded yet.
    pub(crate) portal_readiness: PortalReadiness,
    /// Logs refused origins.
    pub(crate) refused_origins: RefusedOrigins,
    pub(crate) queue: Arc<QueueMonitor>,
    pub(crate) published_limits: PublishedLimits,
    /// `None` if the confirm page is not configured.
    pub(crate) confirm_page: Option<Arc<ConfirmPage>>,
    pub(crate) webhooks: WebhookSettings,
    /// Counts the webhooks for the log.
    pub(crate) webhook_log: WebhookLog,
    /// Reports that this api is running, and reads which programs are running.
    pub(crate) reporter: ProgramReporter,
    /// Notified when a request is rejected because no worker has loaded its portal. This api then reports within a
    /// second, and reads the workers' latest reports.
    pub(crate) report_wanted: Notify,
    /// Detects when a pooler changes its mode.
    pub(crate) pooler_monitor: PoolerMonitor,
    /// Cancelled at the first stop signal. From then on, the api is not ready.
    pub(crate) draining: CancellationToken,
}

impl AppState {
    /// Creates the state from the settings. Does not connect to Postgres yet.
    ///
    /// # Errors
    /// Fails if the operating system cannot start the threads of the group commits.
    pub(crate) fn new(settings: &ApiSettings, pool: PgPool) -> io::Result<Arc<Self>> {
        let live = Arc::new(Live::new(settings.live.clone()));
        let state = Self {
            requests: GroupCommit::of_requests(&pool, settings.admission.clone(), metrics::observe_enqueue_commit)?,
            enqueue_policy: settings.admission.clone(),
            reports: GroupCommit::of_reports(&pool, metrics::observe_webhook_commit)?,
            pool,
            ip_limiter: Arc::new(IpRateLimiter::new(
                settings.client_ips.clone(),
                settings.ip_rate_limit,
                &settings.ip_rate_limit_overrides,
            )),
            live: live.clone(),
            portal_readiness: PortalReadiness::default(),
            refused_origins: RefusedOrigins::default(),
            queue: Arc::new(QueueMonitor::new(QueueLimits {
                max_waiting: settings.queue_limit,
                deadline: settings.admission.deadline,
            })),
            published_limits: PublishedLimits {
                per_network: settings.ip_rate_limit,
                admission: settings.admission.clone(),
                link_lifetime: settings.link_lifetime,
            },
            confirm_page: settings.confirm.as_ref().map(|confirm| {
                let limiter =
                    IpRateLimiter::new(settings.client_ips.clone(), confirm.rate_limit, &QuotaOverrides::default());
                Arc::new(ConfirmPage::new(confirm.clone(), live.clone(), limiter))
            }),
            webhooks: settings.webhooks.clone(),
            webhook_log: WebhookLog::default(),
            reporter: ProgramReporter::new(Program {
                name: program::instance_name(),
                kind: ProgramKind::Api,
                version: program::VERSION,
                commit: program::COMMIT,
                max_connections: max_connections(settings),
                sealing_keys: None,
                link_style: None,
                confirm_keys: settings.confirm.as_ref().map(|confirm| confirm.keys.ids()),
                portals: settings.live.portals.ids(),
            }),
            report_wanted: Notify::new(),
            pooler_monitor: PoolerMonitor::default(),
            draining: CancellationToken::new(),
        };
        Ok(Arc::new(state))
    }

    /// Updates which of these portals the running workers have loaded. Called after each report and each reload.
    pub(crate) fn note_worker_portals(&self, portals: &PortalList) {
        let summary = self.reporter.latest();
        let known_to_workers = summary.as_ref().and_then(ProgramsSummary::worker_portals);
        self.portal_readiness.update(portals, known_to_workers);
    }
}

/// Maximum number of connections to Postgres: the pool's and the committers'.
pub(crate) fn max_connections(settings: &ApiSettings) -> u32 {
    settings.database_max_connections + COMMITTER_CONNECTIONS
}
