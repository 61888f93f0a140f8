//! What every part of a running worker shares.

use std::sync::{Arc, atomic::AtomicBool};

use chrono::Utc;
use outbox::PgPool;

use super::{capacity::Capacity, committers::Committers, leases::LeaseRenewer, outage::OutageLog, shutdown::Shutdown};
use crate::{
    mail::link_seal::SealingKeys,
    settings::{Limits, WorkerSettings},
    upstream::{
        health::UpstreamHealth, mailgun::MailgunClient, mailgun_events::MailgunEventsClient, supabase::SupabaseClient,
    },
};

/// A worker.
pub struct Worker {
    /// The outbox.
    pub pool: PgPool,
    /// What is written down of deliveries.
    pub records: Committers,
    /// Its name, for operators: host, process id, start.
    pub name: Arc<str>,
    /// Times and counts.
    pub limits: Limits,
    /// The maker of links.
    pub supabase: SupabaseClient,
    /// The mailer.
    pub mailgun: MailgunClient,
    /// The way to ask it what became of mails, if a key allows.
    pub mailgun_reader: Option<MailgunEventsClient>,
    /// What links are sealed with.
    pub sealing_keys: SealingKeys,
    /// The jobs held.
    pub leases: LeaseRenewer,
    /// How fast they end.
    pub capacity: Capacity,
    /// What was seen of the upstreams.
    pub upstreams: UpstreamHealth,
    /// What was seen of the database.
    pub outage: OutageLog,
    /// Whether the tables are known to be those of this version.
    pub prepared: AtomicBool,
    /// When to stop.
    pub stop: Shutdown,
}

impl Worker {
    /// Puts a worker together, on the current runtime; it does nothing yet.
    ///
    /// # Errors
    /// The settings make no client, or the system gives no threads.
    pub fn new(settings: &WorkerSettings) -> anyhow::Result<Self> {
        let WorkerSettings { database, supabase, mailgun, sealing_keys, limits, .. } = settings;
        let pool = outbox::connect(&database.url, database.max_connections, "magic-link-worker")?;
        Ok(Self {
            records: Committers::start(&pool)?,
            pool,
            name: name().into(),
            limits: *limits,
            supabase: SupabaseClient::new(supabase, limits.upstream_timeout)?,
            mailgun: MailgunClient::new(mailgun, limits.upstream_timeout)?,
            mailgun_reader: MailgunEventsClient::new(mailgun, limits.upstream_timeout)?,
            sealing_keys: sealing_keys.clone(),
            leases: LeaseRenewer::new(limits.lease),
            capacity: Capacity::default(),
            upstreams: UpstreamHealth::default(),
            outage: OutageLog::default(),
            prepared: AtomicBool::new(false),
            stop: Shutdown::default(),
        })
    }
}

fn name() -> String {
    let mut host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "worker".to_owned(), |name| name.trim().to_owned());
    // The column takes 128 bytes.
    host.truncate(host.floor_char_boundary(80));
    format!("{host}:{}:{}", std::process::id(), Utc::now().format("%Y%m%dT%H%M%SZ"))
}
