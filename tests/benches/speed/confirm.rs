//! Measures how long requests for links take while the confirm page is flooded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tests::{Plan, TestSystem};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    figures::Figures,
    load::{Caller, newcomer},
    quiet,
    statistics::{millis, quantile, rate},
};

/// Duration of each measurement.
const LOAD: Duration = Duration::from_secs(10);
/// Requests for links per second during a measurement.
const REQUESTS_PER_SECOND: f64 = 100.0;
/// Number of connections that the flood uses.
const CONNECTIONS: usize = 32;

pub(crate) async fn measure(figures: &mut Figures) {
    // With the default limit, the api answers most requests in a flood from one network with 429. With the high limit,
    // it renders every page.
    for (limit, name) in [("1000000/1s", "every page rendered"), ("300/1m", "most answered with 429")] {
        let plan = Plan { own_server: true, ..Plan::default() }.with_confirm_page();
        let system = TestSystem::with(quiet(plan.api("CONFIRM_RATE_LIMIT", limit))).await;
        let url = system.url("").await;
        let address = url.trim_start_matches("http://").to_owned();
        system.ask("ann@example.com").await;
        let mail = system.mailgun.wait_for_mail("ann@example.com", LOAD).await.unwrap();
        let path = mail.link().unwrap().strip_prefix(&url).unwrap().to_owned();

        requests(figures, &address, "without a flood").await;
        let flood = Flood::start(&address, &path);
        requests(figures, &address, &format!("during a flood of confirm pages, {name}")).await;
        figures.add("confirm", format!("pages, {name}"), flood.stop(), "/s");
        system.finish_with_any_jobs();
    }
}

/// Measures how long requests for links take at [`REQUESTS_PER_SECOND`].
async fn requests(figures: &mut Figures, address: &str, name: &str) {
    const CALLERS: u32 = 16;
    let began = Instant::now();
    let asking = (0..CALLERS).map(|caller| {
        let address = address.to_owned();
        tokio::spawn(async move {
            let mut connection = Caller::connect(&address).await;
            let mut seconds = Vec::new();
            for turn in 0.. {
                let due = began + Duration::from_secs_f64(f64::from(turn * CALLERS + caller) / REQUESTS_PER_SECOND);
                if due > began + LOAD {
                    break;
                }
                tokio::time::sleep_until(due.into()).await;
                connection.ask(&newcomer()).await;
                // Measure from the time when the request was due, so that a late start counts towards the latency.
                seconds.push(due.elapsed().as_secs_f64());
            }
            seconds
        })
    });
    let answered = futures_util::future::join_all(asking).await;
    let mut seconds: Vec<f64> = answered.into_iter().flat_map(Result::unwrap).collect();
    seconds.sort_by(f64::total_cmp);
    figures.add("confirm", format!("requests {name}, p50"), millis(quantile(&seconds, 0.5)), "ms");
    figures.add("confirm", format!("requests {name}, p99"), millis(quantile(&seconds, 0.99)), "ms");
}

/// Opens the confirm page as often as a single thread can.
struct Flood {
    is_over: Arc<AtomicBool>,
    pages: Arc<AtomicU64>,
    began: Instant,
    thread: thread::JoinHandle<()>,
}

impl Flood {
    fn start(address: &str, path: &str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        let (is_over, pages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, opened, address) = (Arc::clone(&is_over), Arc::clone(&pages), address.to_owned());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let visitors = (0..CONNECTIONS).map(|_| visit(&address, &request, &over, &opened));
            runtime.block_on(futures_util::future::join_all(visitors));
        });
        Self { is_over, pages, began: Instant::now(), thread }
    }

    /// Stops the flood, and returns how many pages were opened per second.
    fn stop(self) -> f64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        rate(self.pages.load(Ordering::Relaxed), self.began.elapsed())
    }
}

/// Opens the confirm page repeatedly on one connection, until the flood is over.
async fn visit(address: &str, request: &str, is_over: &AtomicBool, pages: &AtomicU64) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = Vec::with_capacity(16 * 1_024);
    while !is_over.load(Ordering::Relaxed) {
        stream.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        while !answer.trim_ascii_end().ends_with(b"</html>") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the api closed the connection");
        }
        pages.fetch_add(1, Ordering::Relaxed);
    }
}
