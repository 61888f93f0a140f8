//! The looks that a running worker can use: the current looks, and some earlier looks for mails whose first attempt was
//! before a reload.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

use super::{look::Look, look_set::LookSet};

/// Number of earlier sets to keep. A few are enough, because a mail is retried only for minutes, and reloads are
/// rare.
const EARLIER_SETS: usize = 4;

/// The current and the earlier looks. Threads can share them.
pub struct Looks(RwLock<Arc<Generations>>);

#[derive(Clone)]
struct Generations {
    current: LookSet,
    /// The earlier sets, most recent first.
    earlier: VecDeque<LookSet>,
}

impl Looks {
    /// Starts with `current` and no earlier looks.
    #[must_use]
    pub fn new(current: LookSet) -> Self {
        Self(RwLock::new(Arc::new(Generations { current, earlier: VecDeque::new() })))
    }

    /// The look with this id, whether current or earlier. `None` if no loaded look has this id.
    pub(crate) fn with_id(&self, id: &str) -> Option<Arc<Look>> {
        let generations = self.generations();
        let mut sets = std::iter::once(&generations.current).chain(&generations.earlier);
        sets.find_map(|set| set.with_id(id)).map(Arc::clone)
    }

    /// Replaces the current looks with `new`, and keeps the replaced looks as earlier looks. Returns `false` and does
    /// nothing if no look has changed.
    pub fn reload(&self, new: LookSet) -> bool {
        let mut guard = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if guard.current.is_same(&new) {
            return false;
        }
        // Few mails still use an earlier look, so drop its prerendered mails to make room for those of the new look.
        guard.current.all().for_each(|look| look.prerendered.clear());
        let mut earlier = guard.earlier.clone();
        earlier.push_front(guard.current.clone());
        earlier.truncate(EARLIER_SETS);
        *guard = Arc::new(Generations { current: new, earlier });
        true
    }

    fn generations(&self) -> Arc<Generations> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use words::{Language, TimeZone};

    use super::*;
    use crate::mail::{
        brand::Brand,
        prerendered_mails::MailKind,
        render::{MailContent, render},
        sample::{LINK, MailStyle},
    };

    fn set(name: &str) -> LookSet {
        let brand = Brand { portal: Some("shop".to_owned()), name: Some(name.parse().unwrap()), ..Brand::default() };
        LookSet::read(None, &[brand]).unwrap()
    }

    #[test]
    fn the_four_most_recent_earlier_looks_are_kept() {
        let first = set("Shop 0");
        let looks = Looks::new(first.clone());
        let first = first.of_portal(Some("shop"));
        for number in 1..=5 {
            assert!(looks.reload(set(&format!("Shop {number}"))));
            assert!(!looks.reload(set(&format!("Shop {number}"))), "nothing has changed");
            assert_eq!(looks.with_id(first.id()).is_some(), number <= 4, "{number}");
        }
        assert!(looks.with_id("0123456789abcdef").is_none());
    }

    #[test]
    fn a_reload_drops_prerendered_mails() {
        let (first, link) = (set("Shop 0"), MailStyle::Link.example(LINK, "2026-11-23T13:05:30Z".parse().unwrap()));
        let content = MailContent {
            link: &link,
            host: "portal.example.com",
            requested_at: link.created_at,
            language: Language::ENGLISH,
            time_zone: TimeZone::UTC,
        };
        let is_kept = |look: &Look| look.prerendered.get(&MailKind::new(&content)).is_some();
        let looks = Looks::new(first.clone());
        let look = first.of_portal(Some("shop"));
        render(look, &content).unwrap();
        assert!(!looks.reload(set("Shop 0")) && is_kept(look), "nothing has changed");
        assert!(looks.reload(set("Shop 1")) && !is_kept(look));
        let new = looks.generations().current.of_portal(Some("shop")).clone();
        assert!(!is_kept(&new));
        assert!(render(&new, &content).unwrap().subject.contains("Shop 1"));
        assert!(render(look, &content).unwrap().subject.contains("Shop 0"));
    }
}
