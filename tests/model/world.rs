//! What can be at a moment: the table, two workers, and the two services that they call.

use std::collections::BTreeSet;

use crate::{
    table::{ModelLease, ModelLink, Table},
    worker::{Adrift, ModelDelivery, ModelMail, ModelWorker},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModelWorld {
    pub(crate) table: Table,
    /// Requests that were answered with 200.
    pub(crate) accepted: usize,
    /// They are alike: kept in order, so that two worlds that differ in their names only are one.
    pub(crate) workers: [ModelWorker; 2],
    /// What the rescue's first statement saw, until its second.
    pub(crate) rescue: Option<ModelLease>,
    /// Links that Supabase made. Each kills the one before, so the last is the one that works.
    pub(crate) links: u8,
    /// Calls that are still under way without anybody waiting.
    pub(crate) adrift: BTreeSet<Adrift>,
    /// Mails that Mailgun took; a copy of one is the same mail.
    pub(crate) mails: BTreeSet<ModelMail>,
    /// Faults that may still happen.
    pub(crate) faults: u8,
    /// What must not have happened.
    pub(crate) seen: Seen,
}

/// Marks of events, for the promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// A write that named an old token changed the table.
    pub(crate) stale_write: bool,
    /// A mail was cleared while a newer request waited.
    pub(crate) cleared_although_newer: bool,
    /// Supabase made a link for a worker that no longer held the job.
    pub(crate) late_link: bool,
}

impl ModelWorld {
    pub(crate) fn new(faults: u8) -> Self {
        Self {
            table: Table::default(),
            accepted: 0,
            workers: [ModelWorker::Idle, ModelWorker::Idle],
            rescue: None,
            links: 0,
            adrift: BTreeSet::new(),
            mails: BTreeSet::new(),
            faults,
            seen: Seen::default(),
        }
    }

    pub(crate) fn deliveries(&self) -> impl Iterator<Item = &ModelDelivery> {
        self.workers.iter().filter_map(ModelWorker::delivery)
    }

    pub(crate) fn delivery(&self, lease: ModelLease) -> Option<&ModelDelivery> {
        self.deliveries().find(|delivery| delivery.lease == lease)
    }

    pub(crate) fn replace(&mut self, lease: ModelLease, by: ModelWorker) {
        let is_it = |worker: &&mut ModelWorker| worker.delivery().is_some_and(|delivery| delivery.lease == lease);
        if let Some(worker) = self.workers.iter_mut().find(is_it) {
            *worker = by;
        }
    }

    /// Supabase carries out a call: the former link is dead.
    pub(crate) fn make_link(&mut self, lease: ModelLease) -> ModelLink {
        self.seen.late_link |= !self.table.is_held(lease);
        self.links += 1;
        // The worker makes a Message-Id for the link, and asks once a claim: the token tells it from all others.
        ModelLink { number: self.links, message_id: lease.token }
    }

    /// A worker's write, by the table's statement `write`.
    pub(crate) fn write<T>(&mut self, lease: ModelLease, write: impl FnOnce(&mut Table) -> T) -> T {
        let (stale, before) = (!self.table.is_held(lease), self.table.clone());
        let answer = write(&mut self.table);
        self.seen.stale_write |= stale && self.table != before;
        answer
    }
}
