//! A state of the model: the table, two workers, and the two upstreams that they call.

use std::collections::BTreeSet;

use crate::{
    table::{ModelLease, ModelLink, Table},
    worker::{ModelDelivery, ModelMail, ModelWorker, OrphanedCall},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModelWorld {
    pub(crate) table: Table,
    /// Number of requests that were answered with 200.
    pub(crate) accepted: usize,
    /// Sorted, because the workers are interchangeable: states that differ only in the workers' names are equal.
    pub(crate) workers: [ModelWorker; 2],
    /// The lease that the first statement of `rescue` found, until the second statement runs.
    pub(crate) rescue: Option<ModelLease>,
    /// Number of links that Supabase has created. Each link invalidates the previous one, so only the last link works.
    pub(crate) links: u8,
    /// Calls in flight that their workers no longer wait for.
    pub(crate) orphaned_calls: BTreeSet<OrphanedCall>,
    /// Mails that Mailgun accepted. A copy of a mail counts as the same mail.
    pub(crate) mails: BTreeSet<ModelMail>,
    /// Number of faults that can still happen.
    pub(crate) faults: u8,
    /// Events that the promises refer to.
    pub(crate) seen: Seen,
}

/// Events that the promises refer to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// A write with an old token changed the table.
    pub(crate) stale_write: bool,
    /// A mail was cleared for sending while a newer request waited.
    pub(crate) cleared_despite_newer_request: bool,
    /// Supabase created a link for a worker that no longer held the job.
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
            orphaned_calls: BTreeSet::new(),
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

    /// Supabase creates a link, which invalidates the previous link.
    pub(crate) fn make_link(&mut self, lease: ModelLease) -> ModelLink {
        self.seen.late_link |= !self.table.is_held(lease);
        self.links += 1;
        // The worker creates one Message-Id for each link and requests at most one link for each claim, so the lease
        // token can stand for the Message-Id.
        ModelLink { number: self.links, message_id: lease.token }
    }

    /// Runs the statement `write` for a worker, and records whether the table was changed with an old token.
    pub(crate) fn write<T>(&mut self, lease: ModelLease, write: impl FnOnce(&mut Table) -> T) -> T {
        let (stale, before) = (!self.table.is_held(lease), self.table.clone());
        let answer = write(&mut self.table);
        self.seen.stale_write |= stale && self.table != before;
        answer
    }
}
