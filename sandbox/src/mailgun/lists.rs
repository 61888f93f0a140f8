//! Mailgun's own lists of addresses that it does not mail: bounces, complaints, unsubscribes. A mail to one of them is
//! taken all the same, and fails at once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// One of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SuppressionList {
    /// Addresses that a server refused for good.
    Bounces,
    /// Addresses whose readers called a mail spam.
    Complaints,
    /// Addresses whose readers want no mail.
    Unsubscribes,
}

impl SuppressionList {
    const ALL: [SuppressionList; 3] =
        [SuppressionList::Bounces, SuppressionList::Complaints, SuppressionList::Unsubscribes];

    /// As it stands in a path.
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

/// Who is on which list. Shared: a clone is the same.
#[derive(Clone, Default)]
pub(super) struct Lists(Arc<Mutex<BTreeSet<(SuppressionList, String)>>>);

impl Lists {
    pub(super) fn add(&self, list: SuppressionList, address: &str) {
        self.with(|entries| entries.insert((list, address.to_lowercase())));
    }

    /// Whether it was on it.
    pub(super) fn remove(&self, list: SuppressionList, address: &str) -> bool {
        self.with(|entries| entries.remove(&(list, address.to_lowercase())))
    }

    pub(super) fn has(&self, list: SuppressionList, address: &str) -> bool {
        self.with(|entries| entries.contains(&(list, address.to_lowercase())))
    }

    /// The first list that an address is on.
    pub(super) fn of(&self, address: &str) -> Option<SuppressionList> {
        SuppressionList::ALL.into_iter().find(|list| self.has(*list, address))
    }

    fn with<R>(&self, work: impl FnOnce(&mut BTreeSet<(SuppressionList, String)>) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
