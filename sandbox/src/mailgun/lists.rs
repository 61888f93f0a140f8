//! Mailgun's own suppression lists: bounces, complaints, unsubscribes. Mailgun still accepts a mail to a listed
//! address, but delivery fails immediately.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// A suppression list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SuppressionList {
    /// Addresses that a mail server rejected permanently.
    Bounces,
    /// Addresses whose owners marked a mail as spam.
    Complaints,
    /// Addresses whose owners unsubscribed.
    Unsubscribes,
}

impl SuppressionList {
    const ALL: [SuppressionList; 3] =
        [SuppressionList::Bounces, SuppressionList::Complaints, SuppressionList::Unsubscribes];

    /// The list's name in a URL path.
    pub(super) fn name(self) -> &'static str {
        match self {
            SuppressionList::Bounces => "bounces",
            SuppressionList::Complaints => "complaints",
            SuppressionList::Unsubscribes => "unsubscribes",
        }
    }

    pub(super) fn named(name: &str) -> Option<SuppressionList> {
        SuppressionList::ALL.into_iter().find(|list| list.name() == name)
    }
}

/// The entries of all lists. Clones share the entries.
#[derive(Clone, Default)]
pub(super) struct Lists(Arc<Mutex<BTreeSet<(SuppressionList, String)>>>);

impl Lists {
    pub(super) fn add(&self, list: SuppressionList, address: &str) {
        self.with(|entries| entries.insert((list, address.to_lowercase())));
    }

    /// Removes an address. Returns whether it was on the list.
    pub(super) fn remove(&self, list: SuppressionList, address: &str) -> bool {
        self.with(|entries| entries.remove(&(list, address.to_lowercase())))
    }

    pub(super) fn has(&self, list: SuppressionList, address: &str) -> bool {
        self.with(|entries| entries.contains(&(list, address.to_lowercase())))
    }

    /// The first list that contains the address.
    pub(super) fn of(&self, address: &str) -> Option<SuppressionList> {
        SuppressionList::ALL.into_iter().find(|list| self.has(*list, address))
    }

    fn with<R>(&self, work: impl FnOnce(&mut BTreeSet<(SuppressionList, String)>) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
