//! Rejects requests for a new portal in `PORTALS_FILE` while there are live workers but none of them has loaded the
//! portal. Without this check, the portal's jobs could expire while they wait for a worker that can mail them.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

use super::PortalList;

/// Keeps track of the portals that no live worker has loaded.
#[derive(Debug, Default)]
pub(crate) struct PortalReadiness(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    /// Portals that a worker has reported at least once. These portals stay in use even while no worker is alive,
    /// because their jobs can wait until a worker starts.
    known: BTreeSet<String>,
    /// Portals in `PORTALS_FILE` that no live worker has reported yet.
    waiting: BTreeSet<String>,
}

impl PortalReadiness {
    /// Whether the api must still reject requests for the portal with this id.
    pub(crate) fn is_waiting(&self, id: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).waiting.contains(id)
    }

    /// Records which portals live workers have reported. `None` means that no worker is alive. The state of each portal
    /// then stays the same.
    pub(crate) fn update(&self, portals: &PortalList, known_to_workers: Option<&BTreeSet<String>>) {
        let ids: BTreeSet<String> = portals.iter().filter_map(|portal| Some(portal.id.as_ref()?.to_string())).collect();
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.known.retain(|id| ids.contains(id));
        let Some(known_to_workers) = known_to_workers else {
            state.waiting.retain(|id| ids.contains(id));
            return;
        };
        state.known.extend(ids.intersection(known_to_workers).cloned());
        let waiting: BTreeSet<String> = ids.difference(&state.known).cloned().collect();
        for portal in waiting.difference(&state.waiting) {
            tracing::warn!(
                portal,
                "no worker has loaded this portal yet, so requests for it get 503: give all workers the same \
                 PORTALS_FILE and send them SIGHUP"
            );
        }
        for portal in state.waiting.difference(&waiting).filter(|id| ids.contains(*id)) {
            tracing::info!(portal, "a worker has loaded this portal: accepting its requests");
        }
        state.waiting = waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{portal::Portal, settings::OfferedLanguages};

    fn list(ids: &[&str]) -> PortalList {
        let portal = |id: &&str| Portal {
            id: Some(id.parse().unwrap()),
            origins: format!("https://{id}.example.com").parse().unwrap(),
            callback_path: "/auth/callback".to_owned(),
            next_prefixes: Default::default(),
            languages: OfferedLanguages::of(words::Language::ENGLISH),
            time_zone: words::TimeZone::UTC,
            deadline: None,
            recipient_quota: None,
        };
        PortalList::new(ids.iter().map(portal).collect())
    }

    fn known(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn a_portal_waits_until_a_worker_has_loaded_it_and_then_stays_in_use() {
        let readiness = PortalReadiness::default();
        readiness.update(&list(&["shop"]), None);
        assert!(!readiness.is_waiting("shop"), "without a live worker, no portal has to wait");
        readiness.update(&list(&["shop", "docs"]), Some(&known(&["docs", "other"])));
        assert!(readiness.is_waiting("shop") && !readiness.is_waiting("docs") && !readiness.is_waiting("other"));
        readiness.update(&list(&["shop", "docs"]), Some(&known(&["shop"])));
        assert!(!readiness.is_waiting("shop") && !readiness.is_waiting("docs"));
        readiness.update(&list(&["shop", "docs"]), Some(&known(&[])));
        assert!(!readiness.is_waiting("shop") && !readiness.is_waiting("docs"));
        // A portal that was removed and added again counts as new.
        readiness.update(&list(&["docs"]), Some(&known(&[])));
        readiness.update(&list(&["shop", "docs"]), Some(&known(&[])));
        assert!(readiness.is_waiting("shop") && !readiness.is_waiting("docs"));
    }
}
