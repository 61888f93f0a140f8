//! Everything that a run with many requests leaves behind (the answers, the jobs, the mails, and whether their links
//! work), and the promises that must hold for it.

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

/// Number of links that are opened at the same time.
const OPENED_AT_ONCE: usize = 16;

/// Everything that a run left behind, read once all jobs have ended.
#[derive(Debug, Default)]
pub struct Record {
    /// The requests.
    pub asked: Vec<AskedRequest>,
    /// All jobs, in the order of acceptance.
    pub jobs: Vec<JobFacts>,
    /// The mails of each job, in the order of arrival.
    pub mails: HashMap<String, Vec<Mail>>,
    /// The result of opening the link of each recipient's newest job, if that job was sent. Jobs that no worker claimed are
    /// skipped. The keys are job ids.
    pub opened: HashMap<String, String>,
}

impl Record {
    /// Reads the tables and the mailbox, and opens the newest link of each recipient.
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

    /// The newest job of each recipient that a worker has ever claimed. No later job can have made a link that invalidates its
    /// link.
    pub fn newest_claimed(&self) -> impl Iterator<Item = &JobFacts> {
        self.newest_that(|job| job.attempted_at.is_some())
    }

    fn newest_that(&self, is_wanted: impl Fn(&JobFacts) -> bool) -> impl Iterator<Item = &JobFacts> {
        let wanted = self.jobs.iter().filter(|job| is_wanted(job));
        let newest: BTreeMap<&str, &JobFacts> = wanted.map(|job| (job.recipient.as_str(), job)).collect();
        newest.into_values()
    }

    /// The mails of a job, in the order of arrival.
    #[must_use]
    pub fn mails_of(&self, job: &JobFacts) -> &[Mail] {
        self.mails.get(&job.id).map_or(&[], Vec::as_slice)
    }

    /// Whether this job, the newest of its recipient, was mailed with a link that does not work.
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

/// Unix seconds, on the clock that the programs, the stand-ins and Postgres share.
#[must_use]
pub fn now() -> f64 {
    moment(SystemTime::now())
}

/// A time in Unix seconds.
#[must_use]
pub fn moment(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
