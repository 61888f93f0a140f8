//! Sends requests over HTTP as fast as the api responds. Each caller has its own connection and sends the next request
//! when the response arrives. Callers write raw bytes, so that the load itself costs little CPU.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The result of one run of [`ask`].
pub(crate) struct Answered {
    /// Requests per second. All responses had status 200.
    pub(crate) rate: f64,
    /// Seconds from request to response, in ascending order.
    pub(crate) seconds: Vec<f64>,
}

/// Requests links for the duration `load`, each for a different recipient.
pub(crate) async fn ask(address: &str, connections: usize, load: Duration) -> Answered {
    let address: Arc<str> = address.into();
    let began = Instant::now();
    let callers = (0..connections).map(|_| {
        let address = Arc::clone(&address);
        tokio::spawn(async move {
            let mut caller = Caller::connect(&address).await;
            let mut seconds = Vec::new();
            while began.elapsed() < load {
                let asked = Instant::now();
                caller.ask(&newcomer()).await;
                seconds.push(asked.elapsed().as_secs_f64());
            }
            seconds
        })
    });
    let answered = futures_util::future::join_all(callers).await;
    let taken = began.elapsed().as_secs_f64();
    let mut seconds: Vec<f64> = answered.into_iter().flat_map(Result::unwrap).collect();
    seconds.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = seconds.len() as f64 / taken;
    Answered { rate, seconds }
}

/// The address of a new recipient. Addresses are in random order, because ascending addresses would always go to the
/// end of each index.
pub(crate) fn newcomer() -> String {
    static PEOPLE: AtomicU64 = AtomicU64::new(0);
    let number = PEOPLE.fetch_add(1, Ordering::Relaxed);
    // Different numbers give different results, even if the multiplication wraps, because the factor is odd.
    format!("{:016x}@example.com", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A client with one connection.
pub(crate) struct Caller {
    stream: TcpStream,
    host: String,
    answer: Vec<u8>,
}

impl Caller {
    pub(crate) async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, host: address.to_owned(), answer: Vec::with_capacity(1_024) }
    }

    /// Requests a link and waits for the response, which must have status 200.
    pub(crate) async fn ask(&mut self, email: &str) {
        let body =
            format!(r#"{{"email":"{email}","callback_origin":"https://example.com","callback_next":"/projects/42"}}"#);
        let request = format!(
            "POST /api/auth/send-magic-link HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.answer.clear();
        loop {
            assert!(self.stream.read_buf(&mut self.answer).await.unwrap() > 0, "the api closed the connection");
            // Every response with status 200 has this body.
            if self.answer.ends_with(b"{\"ok\":true}") {
                return;
            }
            assert!(
                self.answer.len() < 12 || self.answer.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(&self.answer)
            );
        }
    }
}
