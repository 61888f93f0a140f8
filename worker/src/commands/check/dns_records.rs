//! Parses the parts of SPF (RFC 7208), DKIM (RFC 6376) and DMARC records (RFC 7489) that the probes need.

/// The SPF record among the TXT records of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spf {
    /// There is no SPF record.
    Missing,
    /// There are several SPF records, which is an error (RFC 7208, section 4.5).
    Several,
    /// There is one SPF record.
    One {
        /// Whether the record includes or redirects to one of Mailgun's domains.
        includes_mailgun: bool,
        /// The other domains whose SPF records this record includes or redirects to.
        others: Vec<String>,
    },
}

impl Spf {
    pub(super) fn of(records: &[String]) -> Self {
        let is_spf = |record: &&String| {
            let record = record.trim().to_ascii_lowercase();
            record == "v=spf1" || record.starts_with("v=spf1 ")
        };
        let found: Vec<&String> = records.iter().filter(is_spf).collect();
        match found[..] {
            [] => Self::Missing,
            [record] => {
                let record = record.to_ascii_lowercase();
                let terms = || record.split_whitespace();
                // A `redirect` is ignored if the record also contains `all` (section 6.1).
                let has_all = terms().any(|term| term.trim_start_matches(['+', '-', '~', '?']) == "all");
                let domains = terms().filter_map(|term| included(term, !has_all));
                let (mailgun, others): (Vec<&str>, Vec<&str>) = domains.partition(|domain| is_mailgun(domain));
                let others = others.into_iter().map(str::to_owned).collect();
                Self::One { includes_mailgun: !mailgun.is_empty(), others }
            }
            _ => Self::Several,
        }
    }
}

/// The domain that an `include` or a `redirect` refers to. `None` for all other terms, for an `include` with a
/// qualifier other than `+`, and for a `redirect` unless `may_redirect` is true.
fn included(term: &str, may_redirect: bool) -> Option<&str> {
    let include = term.trim_start_matches('+').strip_prefix("include:");
    include.or_else(|| term.strip_prefix("redirect=").filter(|_| may_redirect))
}

fn is_mailgun(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    domain == "mailgun.org" || domain.ends_with(".mailgun.org")
}

/// The DKIM key among the TXT records of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dkim {
    /// There is no DKIM record with a `p` tag.
    Missing,
    /// The record has an empty `p`: the key was revoked (section 3.6.1).
    Revoked,
    /// The record has a key.
    Key(String),
}

impl Dkim {
    /// Returns the first key that was not revoked, if there is one.
    pub(super) fn of(records: &[String]) -> Self {
        let is_dkim = |record: &&String| tag(record, "v").is_none_or(|version| version == "DKIM1");
        let keys = || records.iter().filter(is_dkim).filter_map(|record| dkim_key(record));
        match keys().find(|key| !key.is_empty()) {
            Some(key) => Self::Key(key),
            None if keys().next().is_some() => Self::Revoked,
            None => Self::Missing,
        }
    }
}

/// The key in a DKIM record, without spaces. Empty if the key was revoked. `None` if the record has no `p` tag.
pub(super) fn dkim_key(record: &str) -> Option<String> {
    tag(record, "p").map(|key| key.split_whitespace().collect())
}

/// The value of a tag in a list such as `v=DMARC1; p=none`.
fn tag<'a>(record: &'a str, name: &str) -> Option<&'a str> {
    let pairs = record.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// What a domain asks receivers to do with mails that are not aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Policy {
    #[default]
    None,
    Quarantine,
    Reject,
}

impl Policy {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// Whether receivers should keep unaligned mails out of the inbox.
    pub(super) fn is_enforced(self) -> bool {
        self != Self::None
    }
}

/// The DMARC record among the TXT records of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DmarcRecord {
    /// There is no DMARC record.
    Missing,
    /// There are several DMARC records. Receivers ignore all of them, and do not look at the parent domain (section
    /// 6.6.3).
    Several,
    /// There is one DMARC record.
    One(Dmarc),
}

/// A DMARC policy. The default value describes a domain without a DMARC record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Dmarc {
    pub(super) policy: Policy,
    is_dkim_strict: bool,
    is_spf_strict: bool,
}

impl DmarcRecord {
    /// Parses the TXT records of a name. `for_subdomain` is true if the name is a parent of the sender's domain.
    pub(super) fn of(records: &[String], for_subdomain: bool) -> Self {
        let found: Vec<&String> = records.iter().filter(|record| tag(record, "v") == Some("DMARC1")).collect();
        match found[..] {
            [] => Self::Missing,
            [record] => Self::One(Dmarc::parse(record, for_subdomain)),
            _ => Self::Several,
        }
    }
}

impl Dmarc {
    fn parse(record: &str, for_subdomain: bool) -> Self {
        let own = tag(record, "p");
        let policy = if for_subdomain { tag(record, "sp").or(own) } else { own };
        let policy = match policy.unwrap_or_default().to_ascii_lowercase().as_str() {
            "reject" => Policy::Reject,
            "quarantine" => Policy::Quarantine,
            _ => Policy::None,
        };
        let is_strict = |name| tag(record, name).is_some_and(|mode| mode.eq_ignore_ascii_case("s"));
        Self { policy, is_dkim_strict: is_strict("adkim"), is_spf_strict: is_strict("aspf") }
    }

    /// Whether a mail from the domain `from` passes DMARC. Mailgun signs the mail for the domain `sending` (DKIM), and
    /// the mail's return address is in the same domain (SPF). It is enough if DKIM or SPF is aligned with `from`.
    pub(super) fn is_aligned(&self, from: &str, sending: &str) -> bool {
        let is_related = match (registrable(from), registrable(sending)) {
            (Some(from), Some(sending)) => from == sending,
            _ => false,
        };
        from == sending || (is_related && !(self.is_dkim_strict && self.is_spf_strict))
    }
}

/// The registrable part of a domain, such as `example.com` for `mg.example.com`.
pub(super) fn registrable(domain: &str) -> Option<&str> {
    psl::domain_str(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_domains_that_an_spf_record_includes_are_found() {
        let one = |includes_mailgun, others: &[&str]| Spf::One { includes_mailgun, others: records(others) };
        for (texts, expected) in [
            (&["google-site-verification=x"][..], Spf::Missing),
            (&["v=spf10 include:mailgun.org"], Spf::Missing),
            (&["v=spf1 -all", "v=spf1 include:mailgun.org ~all"], Spf::Several),
            (&["x", "v=spf1 include:mailgun.org ~all"], one(true, &[])),
            (&["V=SPF1 +include:EU.mailgun.org. ~all"], one(true, &[])),
            (&["v=spf1 include:mailgun.org.evil.example a mx -all"], one(false, &["mailgun.org.evil.example"])),
            (&["v=spf1 include:a.example redirect=b.example"], one(false, &["a.example", "b.example"])),
            (&["v=spf1 -all redirect=mailgun.org"], one(false, &[])),
            (&["v=spf1 -include:mailgun.org ~all"], one(false, &[])),
        ] {
            assert_eq!(Spf::of(&records(texts)), expected, "{texts:?}");
        }
    }

    #[test]
    fn a_dkim_record_has_a_key_unless_the_key_was_revoked() {
        let key = |key: &str| Dkim::Key(key.to_owned());
        for (texts, dkim) in [
            (&["k=rsa; p=MIGfMA0"][..], key("MIGfMA0")),
            (&["v=DKIM1; k=rsa; p=MIGf MA0 "], key("MIGfMA0")),
            (&["v=DKIM1; p=", "p=MIGfMA0"], key("MIGfMA0")),
            (&["v=DKIM1; p="], Dkim::Revoked),
            (&["v=DKIM2; p=MIGfMA0"], Dkim::Missing),
            (&["v=spf1 include:mailgun.org", ""], Dkim::Missing),
            (&[], Dkim::Missing),
        ] {
            assert_eq!(Dkim::of(&records(texts)), dkim, "{texts:?}");
        }
    }

    #[test]
    fn related_domains_pass_dmarc_unless_alignment_is_strict() {
        for (record, from, sending, policy, is_aligned) in [
            ("v=DMARC1; p=reject", "example.com", "mg.example.com", Policy::Reject, true),
            ("v=DMARC1; p=none; adkim=s; aspf=s", "example.com", "mg.example.com", Policy::None, false),
            ("v=DMARC1; p=quarantine; adkim=s", "example.com", "mg.example.com", Policy::Quarantine, true),
            ("v=DMARC1;p=REJECT;adkim=s;aspf=s", "mg.example.com", "mg.example.com", Policy::Reject, true),
            ("v=DMARC1; p=reject", "example.org", "mg.example.com", Policy::Reject, false),
            ("v=DMARC1; p=reject", "a.co.uk", "b.co.uk", Policy::Reject, false),
        ] {
            let DmarcRecord::One(dmarc) = DmarcRecord::of(&records(&["x", record]), false) else { panic!("{record}") };
            assert_eq!((dmarc.policy, dmarc.is_aligned(from, sending)), (policy, is_aligned), "{record} {from}");
        }
    }

    #[test]
    fn a_subdomain_inherits_its_parents_subdomain_policy() {
        for (texts, for_subdomain, policy) in [
            (&["v=DMARC1; p=reject; sp=none"][..], true, Some(Policy::None)),
            (&["v=DMARC1; p=reject; sp=none"], false, Some(Policy::Reject)),
            (&["v=DMARC1; p=none; sp=reject"], true, Some(Policy::Reject)),
            (&["v=DMARC1; p=quarantine"], true, Some(Policy::Quarantine)),
            (&["v=spf1 -all"], false, None),
        ] {
            let expected =
                policy.map_or(DmarcRecord::Missing, |policy| DmarcRecord::One(Dmarc { policy, ..Dmarc::default() }));
            assert_eq!(DmarcRecord::of(&records(texts), for_subdomain), expected, "{texts:?}");
        }
        assert_eq!(DmarcRecord::of(&records(&["v=DMARC1; p=reject", "v=DMARC1; p=none"]), false), DmarcRecord::Several);
    }
}
