//! What `/health/ready` of each program says all the time.

use std::time::Duration;

use reqwest::Client;
use tests::{TestSystem, record::now};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use crate::spans::{Span, streaks};

const PACE: Duration = Duration::from_millis(200);
/// An answer that takes longer is none.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Asks every program.
pub(crate) struct Watch {
    stop: watch::Sender<bool>,
    apis: Vec<JoinHandle<Vec<Look>>>,
    workers: Vec<JoinHandle<Vec<Look>>>,
}

/// One answer: when it was asked for and there, and whether it was 200.
type Look = (Span, bool);

/// When each program said that it was ready.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) apis: Vec<Vec<Span>>,
    pub(crate) workers: Vec<Vec<Span>>,
}

impl Watch {
    /// Starts to ask all programs of a system.
    pub(crate) async fn start(system: &TestSystem) -> Self {
        let (stop, stopped) = watch::channel(false);
        let client = sandbox::client().unwrap();
        let (mut apis, mut workers) = (vec![], vec![]);
        for (programs, watched) in [(&system.apis, &mut apis), (&system.workers, &mut workers)] {
            for program in programs {
                let url = format!("http://{}/health/ready", program.address().await.unwrap());
                watched.push(tokio::spawn(keep_looking(client.clone(), url, stopped.clone())));
            }
        }
        Self { stop, apis, workers }
    }

    /// Stops, and returns when each was ready.
    pub(crate) async fn stop(self) -> Readiness {
        self.stop.send_replace(true);
        Readiness { apis: ready_times(self.apis).await, workers: ready_times(self.workers).await }
    }
}

async fn ready_times(watched: Vec<JoinHandle<Vec<Look>>>) -> Vec<Vec<Span>> {
    let mut times = vec![];
    for looks in watched {
        times.push(streaks(looks.await.unwrap()));
    }
    times
}

async fn keep_looking(client: Client, url: String, stopped: watch::Receiver<bool>) -> Vec<Look> {
    let mut looks = vec![];
    while !*stopped.borrow() {
        let from = now();
        let answer = client.get(&url).timeout(TIMEOUT).send().await;
        looks.push((Span { from, to: now() }, answer.is_ok_and(|answer| answer.status() == 200)));
        sleep(PACE).await;
    }
    looks
}
