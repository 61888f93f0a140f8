//! The record of a run with many requests (the responses, the jobs, the mails, and whether their links work), and the
//! promises that must hold for the run.

mod jobs;
pub mod promises;
mod requests;

use std::{
    collections::{BTreeMap, HashMap},
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt as _, stream};
use sandbox::{Mail, SupabaseAuth};

pub use jobs::JobFacts;
pub use promises::Broken;
pub use requests::{AskedRequest, ask};

use crate::TestSystem;

/// Maximum number of links that are opened concurrently.
const OPENED_AT_ONCE: usize = 16;

/// The record of a run, read at its end.
#[derive(Debug, Default)]
pub struct Record {
    /// The requests.
    pub asked: Vec<AskedRequest>,
    /// All jobs, in the order in which they were accepted.
    pub jobs: Vec<JobFacts>,
    /// The mails of each job, in the order in which they arrived.
    pub mails: HashMap<String, Vec<Mail>>,
    /// The results of opening links, by job id. Contains an entry for each recipient's newest claimed job, if that job
    /// was sent.
    pub opened: HashMap<String, String>,
}

impl Record {
    /// Reads the tables and the mailbox, and opens the link that was mailed for each recipient's newest claimed job.
    pub async fn gather(system: &TestSystem, asked: Vec<AskedRequest>) -> Self {
        let jobs = jobs::read(&system.admin).await;
        let mails = by(system.mailgun.mails(), |mail| mail.variable("job_id").unwrap_or_default().to_owned());
        let mut record = Self { asked, jobs, mails, opened: HashMap::new() };
        record.opened = record.open_links(&system.supabase).await;
        record
    }

    async fn open_links(&self, supabase: &SupabaseAuth) -> HashMap<String, String> {
        let sent = self.newest_claimed().filter(|job| job.state == "sent");
        let links = sent.filter_map(|job| Some((job.id.clone(), self.mails_of(job).first()?.link()?.to_owned())));
        // Collect the links first, because the compiler cannot prove that a stream over borrowed jobs is `Send`.
        let links: Vec<(String, String)> = links.collect();
        let outcomes = stream::iter(links)
            .map(async |(job, link)| (job, supabase.verify(&link).await.unwrap().code))
            .buffer_unordered(OPENED_AT_ONCE);
        outcomes.collect().await
    }

    /// The newest job of each recipient. Jobs that ended as duplicates (double clicks) are skipped.
    pub fn newest(&self) -> impl Iterator<Item = &JobFacts> {
        self.newest_that(|job| !job.is_duplicate())
    }

    /// For each recipient, the newest job that a worker has claimed. No later job can have created a link that
    /// invalidates this job's link.
    pub fn newest_claimed(&self) -> impl Iterator<Item = &JobFacts> {
        self.newest_that(|job| job.attempted_at.is_some())
    }

    fn newest_that(&self, is_wanted: impl Fn(&JobFacts) -> bool) -> impl Iterator<Item = &JobFacts> {
        let wanted = self.jobs.iter().filter(|job| is_wanted(job));
        let newest: BTreeMap<&str, &JobFacts> = wanted.map(|job| (job.recipient.as_str(), job)).collect();
        newest.into_values()
    }

    /// The mails of a job, in the order in which they arrived.
    #[must_use]
    pub fn mails_of(&self, job: &JobFacts) -> &[Mail] {
        self.mails.get(&job.id).map_or(&[], Vec::as_slice)
    }

    /// Whether the mail for `job`, its recipient's newest claimed job, contains a link that does not work.
    #[must_use]
    pub fn is_dead(&self, job: &JobFacts) -> bool {
        job.state == "sent" && self.opened.get(&job.id).is_none_or(|outcome| outcome != "signed_in")
    }
}

/// Groups items by a key. Within a group, the items keep their order.
pub fn by<T>(things: Vec<T>, key: impl Fn(&T) -> String) -> HashMap<String, Vec<T>> {
    let mut groups: HashMap<String, Vec<T>> = HashMap::new();
    for thing in things {
        groups.entry(key(&thing)).or_default().push(thing);
    }
    groups
}

/// The current time in Unix seconds. The programs, the stand-ins and Postgres use the same clock.
#[must_use]
pub fn now() -> f64 {
    moment(SystemTime::now())
}

/// Converts a time to Unix seconds.
#[must_use]
pub fn moment(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
