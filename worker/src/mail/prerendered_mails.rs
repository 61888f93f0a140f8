//! A cache of prerendered mails with the same look, with a memory limit. The cached mails contain no sign-in link, no
//! code and no recipient's address.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use words::{Language, TimeZone};

use super::{prerendered::PrerenderedMail, render::MailContent};

/// Memory limit in bytes. It applies to the newer mails and to the older mails separately. A mail needs about 8 KB.
const MAX_BYTES: usize = 256 * 1024;

/// Memory that a mail needs in addition to its text, in bytes: roughly the size of the structures and of the map entry.
const OVERHEAD: usize = 512;

/// Everything that determines a mail's text, apart from the look, the link and the code. Times are only as precise as
/// the mails show them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MailKind {
    language: Language,
    time_zone: TimeZone,
    host: String,
    has_link: bool,
    has_code: bool,
    requested_second: i64,
    /// The minute of the expiry, in UTC. Since 1972, the offset of every time zone has been a whole number of minutes,
    /// so minutes begin at the same moment in all zones.
    expiry_minute: i64,
    lifetime_minutes: u64,
}

impl MailKind {
    pub(super) fn new(content: &MailContent<'_>) -> Self {
        let &MailContent { link, host, requested_at, language, time_zone } = content;
        Self {
            language,
            time_zone,
            host: host.to_owned(),
            has_link: link.url.is_some(),
            has_code: link.code.is_some(),
            requested_second: requested_at.timestamp(),
            expiry_minute: link.expires_at().timestamp().div_euclid(60),
            lifetime_minutes: link.lifetime.as_secs() / 60,
        }
    }
}

/// The most recently used mails. Threads can share this cache.
#[derive(Default)]
pub(super) struct PrerenderedMails(Mutex<Kept>);

/// When another mail would exceed the limit, the older mails are dropped, and the newer mails become the older mails.
/// An older mail that is used again becomes a newer mail.
#[derive(Default)]
struct Kept {
    newer: HashMap<MailKind, Arc<PrerenderedMail>>,
    newer_bytes: usize,
    older: HashMap<MailKind, Arc<PrerenderedMail>>,
}

impl PrerenderedMails {
    pub(super) fn get(&self, kind: &MailKind) -> Option<Arc<PrerenderedMail>> {
        let mut kept = self.kept();
        if let Some(mail) = kept.newer.get(kind) {
            return Some(Arc::clone(mail));
        }
        let (kind, mail) = kept.older.remove_entry(kind)?;
        kept.insert(kind, Arc::clone(&mail));
        Some(mail)
    }

    /// Caches a mail, unless the mail alone exceeds the limit.
    pub(super) fn insert(&self, kind: MailKind, mail: Arc<PrerenderedMail>) {
        self.kept().insert(kind, mail);
    }

    /// Drops all mails.
    pub(super) fn clear(&self) {
        *self.kept() = Kept::default();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn insert(&mut self, kind: MailKind, mail: Arc<PrerenderedMail>) {
        let bytes = OVERHEAD + kind.host.len() + mail.bytes();
        if bytes > MAX_BYTES || self.newer.contains_key(&kind) {
            return;
        }
        if self.newer_bytes + bytes > MAX_BYTES {
            self.older = mem::take(&mut self.newer);
            self.newer_bytes = 0;
        }
        self.newer_bytes += bytes;
        self.newer.insert(kind, mail);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mail::mailed_link::MailedLink;

    fn kind(number: i64) -> MailKind {
        let created_at = chrono::DateTime::from_timestamp(number, 0).unwrap();
        let link = MailedLink { url: None, code: None, created_at, lifetime: Duration::ZERO };
        let (requested_at, language, time_zone) = (created_at, Language::ENGLISH, TimeZone::UTC);
        MailKind::new(&MailContent { link: &link, host: "a", requested_at, language, time_zone })
    }

    fn mail(bytes: usize) -> Arc<PrerenderedMail> {
        Arc::new(PrerenderedMail::new(String::new(), "", &"a".repeat(bytes)).unwrap())
    }

    /// The memory that all cached mails use, in bytes.
    fn bytes(mails: &PrerenderedMails) -> usize {
        let kept = mails.kept();
        kept.newer.values().chain(kept.older.values()).map(|mail| OVERHEAD + 1 + mail.bytes()).sum()
    }

    #[test]
    fn memory_is_limited_and_the_mails_in_use_are_kept() {
        let mails = PrerenderedMails::default();
        for number in 0..1_000 {
            mails.insert(kind(number), mail(8_000));
            assert!(mails.get(&kind(0)).is_some() && mails.get(&kind(number)).is_some(), "{number}");
            assert!(bytes(&mails) <= 2 * MAX_BYTES, "{number}");
        }
        assert!(bytes(&mails) > MAX_BYTES);
        assert!(mails.get(&kind(1)).is_none());
        mails.insert(kind(-1), mail(MAX_BYTES));
        assert!(mails.get(&kind(-1)).is_none());
        mails.clear();
        assert_eq!(bytes(&mails), 0);
    }

    /// Several threads may render and insert the same mail at the same time.
    #[test]
    fn a_mail_that_is_inserted_again_counts_once() {
        let mails = PrerenderedMails::default();
        for _ in 0..1_000 {
            mails.insert(kind(1), mail(8_000));
        }
        assert!(bytes(&mails) < 10_000 && mails.kept().newer_bytes < 10_000);
    }
}
