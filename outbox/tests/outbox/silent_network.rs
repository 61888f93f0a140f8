//! Behaviour on a network that silently drops packets, for example after a failover or when a NAT entry has expired.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use outbox::{Enqueued, GroupCommit, JobListener};
use sandbox::{Role, eventually};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::test_outbox::{TestOutbox, request};

/// Which bytes the proxy drops.
#[derive(Clone, Copy, Debug)]
enum Dropped {
    None,
    All,
    /// Bytes of connections that were opened before this time.
    OpenedBefore(Instant),
    /// Bytes that the client sends on the first connection, once it has run a write and then received the answer to a
    /// connection check.
    FirstAfterItsCheck,
}

/// The stages of a connection that falls silent after its check.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Progress {
    Opened,
    HasWritten,
    IsChecked,
    IsSilent,
}

/// Forwards bytes unless they must be dropped.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, dropped: watch::Receiver<Dropped>) {
    let made = Instant::now();
    let drops = || match *dropped.borrow() {
        Dropped::None => false,
        Dropped::All => true,
        Dropped::OpenedBefore(time) => made < time,
        // `pass_until_checked` handles this connection.
        Dropped::FirstAfterItsCheck => false,
    };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 || (!drops() && to.write_all(&buffer[..read]).await.is_err()) {
            return;
        }
    }
}

/// Forwards bytes until the client has received the answer to a check that follows a write. After that, drops
/// everything that the client sends.
async fn pass_until_checked(client: TcpStream, server: TcpStream) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let (mut request, mut answer) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut progress = Progress::Opened;
    loop {
        tokio::select! {
            read = from_client.read(&mut request) => {
                let sent = &request[..read.unwrap()];
                let contains = |text: &[u8]| sent.windows(text.len()).any(|part| part == text);
                if progress == Progress::Opened && contains(b"email_") {
                    progress = Progress::HasWritten;
                } else if progress == Progress::HasWritten && contains(b"transaction_read_only") {
                    progress = Progress::IsChecked;
                }
                if sent.is_empty() {
                    return;
                }
                if progress < Progress::IsSilent {
                    to_server.write_all(sent).await.unwrap();
                }
            }
            read = from_server.read(&mut answer) => {
                to_client.write_all(&answer[..read.unwrap()]).await.unwrap();
                if progress == Progress::IsChecked {
                    progress = Progress::IsSilent;
                }
            }
        }
    }
}

/// Starts a proxy in front of the server in `url`. Returns the proxy's URL, and a channel that sets what the proxy
/// drops.
async fn proxy_to(url: &str) -> (String, watch::Sender<Dropped>) {
    let (dropped, what_is_dropped) = watch::channel(Dropped::None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server: Arc<str> = url.split(['@', '/']).nth(3).unwrap().into();
    let proxy = url.replace(&*server, &listener.local_addr().unwrap().to_string());
    let mode = dropped.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if matches!(*what_is_dropped.borrow(), Dropped::FirstAfterItsCheck) {
                tokio::spawn(pass_until_checked(client, TcpStream::connect(&*server).await.unwrap()));
                mode.send_replace(Dropped::None);
                continue;
            }
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = TcpStream::connect(&*server).await.unwrap().into_split();
            tokio::spawn(pass(from_client, to_server, what_is_dropped.clone()));
            tokio::spawn(pass(from_server, to_client, what_is_dropped.clone()));
        }
    });
    (proxy, dropped)
}

#[tokio::test]
async fn a_silent_network_counts_as_an_outage_until_packets_arrive_again() {
    let outbox = TestOutbox::new().await;
    let (url, dropped) = proxy_to(&outbox.url_as(Role::Api)).await;
    // If the pool lost its only connection permanently, no further request would be accepted.
    let pool = outbox::connect(&url.into(), 1, "test").unwrap();
    let commit = GroupCommit::of_requests(&pool, outbox.admission.clone(), |_, _| ()).unwrap();
    assert_eq!(commit.commit(request("a@example.com")).await.unwrap(), Enqueued::Queued);

    dropped.send(Dropped::All).unwrap();
    let began = Instant::now();
    let refused = commit.commit(request("b@example.com")).await.unwrap_err();
    assert!(refused.is_outage(), "{refused}");
    // The outbox gives up after 12 s. The two extra seconds allow for a slow machine.
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());

    dropped.send(Dropped::None).unwrap();
    let again = eventually("an accepted request", async || {
        let outcome = commit.commit(request("c@example.com")).await;
        outcome.inspect_err(|error| assert!(error.is_outage(), "{error}"))
    })
    .await;
    assert_eq!(again, Enqueued::Queued);
    outbox.expect_open_jobs(2);
}

/// A committer has one connection. If the pool waited for an answer on this connection without a timeout, no request
/// would be accepted for as long as the connection stayed silent.
#[tokio::test]
async fn a_committers_connection_that_falls_silent_after_its_check_is_replaced() {
    let outbox = TestOutbox::new().await;
    let (url, dropped) = proxy_to(&outbox.url_as(Role::Api)).await;
    dropped.send(Dropped::FirstAfterItsCheck).unwrap();
    let pool = outbox::connect(&url.into(), 1, "test").unwrap();
    let commit = GroupCommit::of_requests(&pool, outbox.admission.clone(), |_, _| ()).unwrap();
    let mut refusals = 0;
    for number in 0..2 {
        let outcome = eventually("an accepted request", async || {
            let outcome = commit.commit(request(&format!("person-{number}@example.com"))).await;
            outcome.inspect_err(|error| {
                assert!(error.is_outage(), "{error}");
                refusals += 1;
            })
        })
        .await;
        assert_eq!(outcome, Enqueued::Queued);
        // A real sleep is necessary: after this time, the connection counts as idle and is checked before its next use.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(refusals <= 1, "{refusals} refusals");
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn a_listener_connection_that_falls_silent_is_replaced() {
    let outbox = TestOutbox::new().await;
    let (url, dropped) = proxy_to(&outbox.url_as(Role::Worker)).await;
    let pool = outbox::connect(&url.into(), 2, "test").unwrap();
    let listener = JobListener::start(&pool);
    listener.wait(MAX_WAIT).await;
    outbox.queued(request("a@example.com")).await;
    assert!(is_notified(&listener).await, "the listener received no notification");

    // Open connections stay silent forever. New connections work.
    dropped.send(Dropped::OpenedBefore(Instant::now())).unwrap();
    // After reconnecting, the listener reports one notification, because it may have missed some.
    assert!(is_notified(&listener).await, "the dead connection was not replaced");
    outbox.queued(request("b@example.com")).await;
    assert!(is_notified(&listener).await, "the new connection received no notification");
    outbox.expect_open_jobs(2);
}

/// Longer than it takes to replace a dead connection.
const MAX_WAIT: Duration = Duration::from_secs(30);

async fn is_notified(listener: &JobListener) -> bool {
    let began = Instant::now();
    listener.wait(MAX_WAIT).await;
    began.elapsed() < MAX_WAIT
}
