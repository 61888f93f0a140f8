//! What a run with many requests leaves behind (the answers, the jobs, the mails, and whether their links work), and what
//! must hold of it.

mod asked;
mod jobs;
pub mod promises;

use std::{
    collections::{BTreeMap, HashMap},
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt as _, stream};
use sandbox::{Mail, SupabaseAuth};

pub use asked::{AskedRequest, ask};
pub use jobs::JobFacts;
pub use promises::Broken;

use crate::TestSystem;

/// Number of links that are opened at a time.
const OPENED_AT_ONCE: usize = 16;

/// What a run left behind, gathered once all jobs have ended.
#[derive(Debug, Default)]
pub struct Record {
    /// The requests.
    pub asked: Vec<AskedRequest>,
    /// In the order of acceptance.
    pub jobs: Vec<JobFacts>,
    /// By job, in order.
    pub mails: HashMap<String, Vec<Mail>>,
    /// What became of the link of each recipient's newest job, by job, where that was sent.
    pub opened: HashMap<String, String>,
}

impl Record {
    /// Reads the tables and the mailbox, and opens the newest link of each person.
    pub async fn gather(system: &TestSystem, asked: Vec<AskedRequest>) -> Self {
        let jobs = jobs::read(&system.pool).await;
        let mails = by(system.mailgun.mails(), |mail| mail.variable("job_id").unwrap_or_default().to_owned());
        let mut record = Self { asked, jobs, mails, opened: HashMap::new() };
        record.opened = record.open_links(&system.supabase).await;
        record
    }

    async fn open_links(&self, supabase: &SupabaseAuth) -> HashMap<String, String> {
        let sent = self.newest().filter(|job| job.state == "sent");
        let links = sent.filter_map(|job| Some((job.id.clone(), self.mails_of(job).first()?.link()?.to_owned())));
        // Collected, because the compiler cannot prove that a stream over borrowed jobs is `Send`.
        let links: Vec<(String, String)> = links.collect();
        let outcomes = stream::iter(links)
            .map(async |(job, link)| (job, supabase.verify(&link).await.unwrap().code))
            .buffer_unordered(OPENED_AT_ONCE);
        outcomes.collect().await
    }

    /// The newest job of each recipient. A double click stands for the job that it repeats.
    pub fn newest(&self) -> impl Iterator<Item = &JobFacts> {
        let newest: BTreeMap<&str, &JobFacts> = self
            .jobs
            .iter()
            .filter(|job| job.code.as_deref() != Some("duplicate"))
            .map(|job| (job.recipient.as_str(), job))
            .collect();
        newest.into_values()
    }

    /// The mails of a job, in order.
    #[must_use]
    pub fn mails_of(&self, job: &JobFacts) -> &[Mail] {
        self.mails.get(&job.id).map_or(&[], Vec::as_slice)
    }

    /// Whether this job, the newest of its recipient, was mailed, and its link does not work.
    #[must_use]
    pub fn is_dead(&self, job: &JobFacts) -> bool {
        job.state == "sent" && self.opened.get(&job.id).is_none_or(|outcome| outcome != "signed_in")
    }
}

/// Groups things by a key, each group in order.
pub fn by<T>(things: Vec<T>, key: impl Fn(&T) -> String) -> HashMap<String, Vec<T>> {
    let mut groups: HashMap<String, Vec<T>> = HashMap::new();
    for thing in things {
        groups.entry(key(&thing)).or_default().push(thing);
    }
    groups
}

/// Seconds since 1970, on the one clock that the programs, the stand-ins and Postgres share here.
#[must_use]
pub fn now() -> f64 {
    moment(SystemTime::now())
}

/// The same of a time.
#[must_use]
pub fn moment(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
