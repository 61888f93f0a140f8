//! The state and the clients that all tasks of a running worker share.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use confirm::ConfirmKeys;
use outbox::{
    PgPool, PoolerMonitor, ProgramKind, Upstream,
    programs::{Program, ProgramReporter},
};
use program::Live;

use super::{
    capacity::Capacity, committers::Committers, leases::LeaseRenewer, link_path_checker::LinkPathChecker,
    outage::OutageLog, redirect_checker::RedirectChecker, shutdown::Shutdown, upstream_monitor::UpstreamMonitor,
};
use crate::{
    mail::{link_seal::SealingKeys, looks::Looks},
    settings::{Limits, LinkSettings, MailPortals, ReloadableSettings, WorkerSettings},
    upstream::{
        check::CheckResult, mailgun::MailgunClient, mailgun_events::MailgunEventsClient, supabase::SupabaseClient,
        verify::VerifyClient,
    },
};

/// The shared state of one worker process.
pub struct Worker {
    /// Connections to the outbox.
    pub pool: PgPool,
    /// Batched writes to the outbox.
    pub committers: Committers,
    /// The worker's name in the job tables: host, process id and start time. At most 128 bytes.
    pub name: Arc<str>,
    /// Reports that this worker is running, and keeps the latest summary of all running programs.
    pub reporter: ProgramReporter,
    /// The durations and counts that limit deliveries.
    pub limits: Limits,
    /// Creates sign-in links.
    pub supabase: SupabaseClient,
    /// Checks callbacks against Supabase's redirect allow list.
    pub redirect_checker: RedirectChecker,
    /// Checks whether the origin and path of links are served.
    pub link_path_checker: LinkPathChecker,
    /// Sends mails.
    pub mailgun: MailgunClient,
    /// Queries Mailgun's events; `None` without `MAILGUN_EVENTS_KEY`.
    pub mailgun_events: Option<MailgunEventsClient>,
    /// What links lead to, and whether mails show a code.
    pub links: LinkSettings,
    /// The portals on whose behalf mails are sent. SIGHUP reloads them.
    pub portals: Live<MailPortals>,
    /// The looks of all portals, and earlier looks for mails that were first tried before a reload.
    pub looks: Looks,
    /// Encrypts links that are stored in the outbox.
    pub sealing_keys: SealingKeys,
    /// The leases of the jobs that are running in this worker.
    pub lease_renewer: LeaseRenewer,
    /// Measures how many jobs end per second.
    pub capacity: Capacity,
    /// Makes check calls, and keeps the state of the upstreams as this process has seen it.
    pub upstream_monitor: UpstreamMonitor,
    /// Logs the start and the end of database outages.
    pub outage: OutageLog,
    /// Whether the startup check has shown that each connection has its own server session. Until then, only the
    /// startup check may use the pool.
    pub has_own_sessions: AtomicBool,
    /// Detects a pooler that changes its mode.
    pub pooler_monitor: PoolerMonitor,
    /// Whether the tables have been checked and match this version.
    pub is_prepared: AtomicBool,
    /// Tells the tasks to stop.
    pub shutdown: Shutdown,
}

impl Worker {
    /// Creates a worker that does nothing yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// A client or the connection pool cannot be created from the settings, or the operating system cannot start the
    /// committers' threads.
    pub fn new(settings: &WorkerSettings) -> anyhow::Result<Self> {
        let WorkerSettings { database, supabase, mailgun, links, reloadable, sealing_keys, limits, .. } = settings;
        let verify = VerifyClient::new(supabase, limits.upstream_timeout)?;
        if let Some(proxy) = &mailgun.connection.proxy {
            tracing::info!(proxy = proxy.address, "calling Supabase and Mailgun through a proxy");
        }
        let pool = outbox::connect(&database.url, database.max_connections, "magic-link-worker")?;
        let name = program::instance_name();
        Ok(Self {
            reporter: ProgramReporter::new(Program {
                name: name.clone(),
                kind: ProgramKind::Worker,
                version: program::VERSION,
                commit: program::COMMIT,
                max_connections: max_connections(settings),
                sealing_keys: Some(sealing_keys.ids()),
                link_style: Some(links.default.style.name().as_str()),
                confirm_keys: links.confirm_keys.as_ref().map(ConfirmKeys::ids),
                portals: reloadable.portals.ids(),
            }),
            committers: Committers::start(&pool)?,
            pool,
            name: name.into(),
            limits: *limits,
            supabase: SupabaseClient::new(supabase, &mailgun.domain, limits.upstream_timeout)?,
            redirect_checker: RedirectChecker::new(verify.clone()),
            link_path_checker: LinkPathChecker::new(verify),
            mailgun: MailgunClient::new(mailgun, limits.upstream_timeout)?,
            mailgun_events: MailgunEventsClient::new(mailgun, limits.upstream_timeout)?,
            links: links.clone(),
            portals: Live::new(reloadable.portals.clone()),
            looks: Looks::new(reloadable.looks.clone()),
            sealing_keys: sealing_keys.clone(),
            lease_renewer: LeaseRenewer::new(limits.lease),
            capacity: Capacity::default(),
            upstream_monitor: UpstreamMonitor::default(),
            outage: OutageLog::default(),
            has_own_sessions: AtomicBool::new(false),
            pooler_monitor: PoolerMonitor::default(),
            is_prepared: AtomicBool::new(false),
            shutdown: Shutdown::default(),
        })
    }

    /// Uses the reloaded portals and looks from the next delivery on. A mail that is sent again keeps the look of its
    /// first attempt, if that look is still loaded.
    pub(crate) fn apply(&self, settings: ReloadableSettings) {
        let ReloadableSettings { looks, portals } = settings;
        let ids = portals.ids();
        crate::metrics::start_portals(ids.as_deref().unwrap_or_default());
        self.reporter.set_portals(ids);
        self.looks.reload(looks);
        self.portals.replace(portals);
    }

    /// Makes a check call that takes at most `timeout`, or `UPSTREAM_TIMEOUT` if that is shorter.
    pub(crate) async fn check(&self, upstream: Upstream, timeout: Duration) -> CheckResult {
        let timeout = timeout.min(self.limits.upstream_timeout);
        match upstream {
            Upstream::Supabase => self.supabase.check(timeout).await,
            Upstream::Mailgun => self.mailgun.check(timeout).await,
        }
    }
}

/// Maximum number of connections to Postgres, for the pool and the committers together.
pub(crate) fn max_connections(settings: &WorkerSettings) -> u32 {
    settings.database.max_connections + Committers::CONNECTIONS
}
