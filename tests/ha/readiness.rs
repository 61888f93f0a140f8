//! Polls `/health/ready` of each program.

use std::time::Duration;

use reqwest::Client;
use tests::{TestSystem, record::now};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use crate::spans::{Span, streaks};

const INTERVAL: Duration = Duration::from_millis(200);
/// If a response takes longer than this, the program counts as not ready.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The tasks that poll the programs.
pub(crate) struct Watch {
    stop: watch::Sender<bool>,
    apis: Vec<JoinHandle<Vec<Poll>>>,
    workers: Vec<JoinHandle<Vec<Poll>>>,
}

/// One poll: the time from its request to its response, and whether the status was 200.
type Poll = (Span, bool);

/// The periods in which each program reported that it was ready.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) apis: Vec<Vec<Span>>,
    pub(crate) workers: Vec<Vec<Span>>,
}

impl Watch {
    /// Starts polling all programs of a system.
    pub(crate) async fn start(system: &TestSystem) -> Self {
        let (stop, stopped) = watch::channel(false);
        let client = sandbox::client().unwrap();
        let (mut apis, mut workers) = (vec![], vec![]);
        for (programs, watched) in [(&system.apis, &mut apis), (&system.workers, &mut workers)] {
            for program in programs {
                let url = format!("http://{}/health/ready", program.address().await.unwrap());
                watched.push(tokio::spawn(keep_polling(client.clone(), url, stopped.clone())));
            }
        }
        Self { stop, apis, workers }
    }

    /// Stops polling. Returns the periods in which each program reported that it was ready.
    pub(crate) async fn stop(self) -> Readiness {
        self.stop.send_replace(true);
        Readiness { apis: ready_times(self.apis).await, workers: ready_times(self.workers).await }
    }
}

async fn ready_times(watched: Vec<JoinHandle<Vec<Poll>>>) -> Vec<Vec<Span>> {
    let mut times = vec![];
    for polls in watched {
        times.push(streaks(polls.await.unwrap()));
    }
    times
}

async fn keep_polling(client: Client, url: String, stopped: watch::Receiver<bool>) -> Vec<Poll> {
    let mut polls = vec![];
    while !*stopped.borrow() {
        let from = now();
        let answer = client.get(&url).timeout(TIMEOUT).send().await;
        polls.push((Span { from, to: now() }, answer.is_ok_and(|answer| answer.status() == 200)));
        sleep(INTERVAL).await;
    }
    polls
}
