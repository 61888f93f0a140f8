//! A way to Postgres on which packets vanish without a word, as after a failover or in a forgotten NAT entry.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use outbox::{Enqueued, GroupCommit, JobListener};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::test_outbox::{TestOutbox, request};

/// Whose bytes vanish.
#[derive(Clone, Copy, Debug)]
enum Swallow {
    Nobodys,
    Everybodys,
    /// Those of connections made before.
    Before(Instant),
    /// Those of the first connection, once it has written something and then learned that it still can.
    FirstAfterItsCheck,
}

/// How far a connection has come that falls silent after its check.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Progress {
    Opened,
    HasWritten,
    IsChecked,
    IsSilent,
}

/// Passes bytes on until it is told to swallow them.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallow: watch::Receiver<Swallow>) {
    let made = Instant::now();
    let swallows = || match *swallow.borrow() {
        Swallow::Nobodys => false,
        Swallow::Everybodys => true,
        Swallow::Before(time) => made < time,
        // Passed by `pass_until_checked`.
        Swallow::FirstAfterItsCheck => false,
    };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 || (!swallows() && to.write_all(&buffer[..read]).await.is_err()) {
            return;
        }
    }
}

/// Passes what client and server say until the client has the answer to a check that follows a write. Then neither hears
/// anything more of the other.
async fn pass_until_checked(client: TcpStream, server: TcpStream) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let (mut asked, mut answered) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut progress = Progress::Opened;
    loop {
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let said = &asked[..read.unwrap()];
                let says = |text: &[u8]| said.windows(text.len()).any(|part| part == text);
                if progress == Progress::Opened && says(b"email_") {
                    progress = Progress::HasWritten;
                } else if progress == Progress::HasWritten && says(b"transaction_read_only") {
                    progress = Progress::IsChecked;
                }
                if said.is_empty() {
                    return;
                }
                if progress < Progress::IsSilent {
                    to_server.write_all(said).await.unwrap();
                }
            }
            read = from_server.read(&mut answered) => {
                to_client.write_all(&answered[..read.unwrap()]).await.unwrap();
                if progress == Progress::IsChecked {
                    progress = Progress::IsSilent;
                }
            }
        }
    }
}

/// A way to the server of `url`, and the URL of that way.
async fn way_to(url: &str) -> (String, watch::Sender<Swallow>) {
    let (swallow, swallowing) = watch::channel(Swallow::Nobodys);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server: Arc<str> = url.split(['@', '/']).nth(3).unwrap().into();
    let way = url.replace(&*server, &listener.local_addr().unwrap().to_string());
    let mode = swallow.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if matches!(*swallowing.borrow(), Swallow::FirstAfterItsCheck) {
                tokio::spawn(pass_until_checked(client, TcpStream::connect(&*server).await.unwrap()));
                mode.send_replace(Swallow::Nobodys);
                continue;
            }
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = TcpStream::connect(&*server).await.unwrap().into_split();
            tokio::spawn(pass(from_client, to_server, swallowing.clone()));
            tokio::spawn(pass(from_server, to_client, swallowing.clone()));
        }
    });
    (way, swallow)
}

#[tokio::test]
async fn a_silent_network_ends_as_an_outage_and_passes() {
    let outbox = TestOutbox::new().await;
    let (way, swallow) = way_to(&outbox.api_url).await;
    // One connection: if it were lost to the pool for good, nothing would ever be taken again.
    let pool = outbox::connect(&way.into(), 1, "test").unwrap();
    let commit = GroupCommit::of_requests(&pool, outbox.admission.clone(), |_, _| ()).unwrap();
    assert_eq!(commit.commit(request("a@example.com")).await.unwrap(), Enqueued::Queued);

    swallow.send(Swallow::Everybodys).unwrap();
    let began = Instant::now();
    let refused = commit.commit(request("b@example.com")).await.unwrap_err();
    assert!(refused.is_outage(), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());

    swallow.send(Swallow::Nobodys).unwrap();
    let again = loop {
        match commit.commit(request("c@example.com")).await {
            Ok(outcome) => break outcome,
            Err(error) => assert!(error.is_outage() && began.elapsed() < Duration::from_secs(60), "{error}"),
        }
    };
    assert_eq!(again, Enqueued::Queued);
}

/// A committer has one connection. If the pool waited for an answer on it without a limit, nothing would be taken for as
/// long as the other end is silent.
#[tokio::test]
async fn a_committers_connection_that_falls_silent_after_its_check_is_replaced() {
    let outbox = TestOutbox::new().await;
    let (way, swallow) = way_to(&outbox.api_url).await;
    swallow.send(Swallow::FirstAfterItsCheck).unwrap();
    let pool = outbox::connect(&way.into(), 1, "test").unwrap();
    let commit = GroupCommit::of_requests(&pool, outbox.admission.clone(), |_, _| ()).unwrap();
    let began = Instant::now();
    let mut refusals = 0;
    for number in 0..2 {
        loop {
            match commit.commit(request(&format!("person-{number}@example.com"))).await {
                Ok(outcome) => break assert_eq!(outcome, Enqueued::Queued),
                Err(error) => {
                    assert!(error.is_outage() && began.elapsed() < Duration::from_secs(30), "{error}");
                    refusals += 1;
                }
            }
        }
        // Until the connection counts as idle, and is checked.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(refusals <= 1, "{refusals} refusals");
}

#[tokio::test]
async fn a_listener_that_went_deaf_is_replaced() {
    let outbox = TestOutbox::new().await;
    let (way, swallow) = way_to(&outbox.url).await;
    let pool = outbox::connect(&way.into(), 2, "test").unwrap();
    let listener = JobListener::start(&pool);
    listener.wait(PATIENCE).await;
    outbox.queued(request("a@example.com")).await;
    assert!(rings(&listener).await, "it hears");

    // What was open stays silent for ever; new connections are sound.
    swallow.send(Swallow::Before(Instant::now())).unwrap();
    let deaf_since = Instant::now();
    // A new listener rings once, for what it may have missed.
    assert!(rings(&listener).await, "nobody noticed");
    assert!(deaf_since.elapsed() < Duration::from_secs(20), "noticed after {:?}", deaf_since.elapsed());
    outbox.queued(request("b@example.com")).await;
    assert!(rings(&listener).await, "the new one hears");
}

/// Longer than it takes to notice.
const PATIENCE: Duration = Duration::from_secs(30);

async fn rings(listener: &JobListener) -> bool {
    let began = Instant::now();
    listener.wait(PATIENCE).await;
    began.elapsed() < PATIENCE
}
