//! Connections to the upstreams: a private certificate authority, and a proxy.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use sandbox::eventually;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::test_worker::{TestWorker, count_log_lines};

const CA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.pem");
const CREDENTIALS: &str = "ann:p%40ssword";
/// `Basic` and `ann:p@ssword` in base64.
const AUTHORIZATION: &str = "Basic YW5uOnBAc3N3b3Jk";

/// Starts a TLS server that has a certificate from the test authority and forwards connections to a stand-in. Returns
/// the server's address.
async fn start_tls_proxy(url: &str) -> SocketAddr {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../fixtures/tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../fixtures/tls/server.key")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = url.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                // The handshake fails if the client does not trust the certificate.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(&target).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

/// An HTTP proxy that resolves only the given hosts. Clones share its state.
#[derive(Clone)]
struct ConnectProxy {
    address: SocketAddr,
    hosts: Arc<HashMap<&'static str, SocketAddr>>,
    /// The targets of the `CONNECT` requests, each with its `Proxy-Authorization`.
    requests: Arc<Mutex<Vec<(String, String)>>>,
}

impl ConnectProxy {
    async fn start(hosts: impl IntoIterator<Item = (&'static str, SocketAddr)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Self { address, hosts: Arc::new(hosts.into_iter().collect()), requests: Arc::default() };
        let server = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(client).await });
            }
        });
        proxy
    }

    async fn serve(&self, client: TcpStream) {
        let mut client = BufReader::new(client);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            client.read_line(&mut line).await.unwrap();
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let target = head[0].strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
        let authorization = head.iter().find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"))
        });
        let authorization = authorization.map_or_else(String::new, |(_, value)| value.to_owned());
        let host = target.split(':').next().unwrap().to_owned();
        self.requests.lock().unwrap().push((target, authorization));
        let mut server = TcpStream::connect(self.hosts[host.as_str()]).await.unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }

    fn requests(&self) -> Vec<(String, String)> {
        self.requests.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_certificate_authority_is_trusted_only_for_supabase() {
    let mut test = TestWorker::new().await;
    let supabase = start_tls_proxy(&test.supabase.url()).await;
    test.set("LINK_ORIGINS", &test.supabase.url());
    test.set("SUPABASE_URL", &format!("https://localhost:{}", supabase.port()));
    let waiting = {
        let worker = test.start_worker();
        let waiting = test.enqueue("ada@example.com").await;
        assert_eq!(stop_of(&test, "supabase").await.0, "supabase_unreachable");
        assert!(test.supabase.journal().is_empty());
        // The worker may be delivering the job right now. Let the worker requeue the job before the next worker starts.
        worker.terminate();
        worker.wait().await;
        waiting
    };
    test.set("SUPABASE_CA_FILE", CA_FILE);
    {
        let _worker = test.start_worker();
        let job = test.enqueue("ben@example.com").await;
        // Wait for both jobs, because the worker is killed at the end of this block. A job that it was still delivering
        // would stay leased for up to 30 s.
        test.wait_for_state(waiting, "sent").await;
        test.wait_for_state(job, "sent").await;
        assert!(!test.supabase.verify_journal().is_empty(), "the callback was not checked over TLS");
    }
    let mailgun = start_tls_proxy(&test.mailgun.url()).await;
    test.set("MAILGUN_BASE_URL", &format!("https://localhost:{}", mailgun.port()));
    let _worker = test.start_worker();
    test.enqueue("eve@example.com").await;
    assert_eq!(stop_of(&test, "mailgun").await.0, "mailgun_unreachable");
    assert!(test.mailgun.mails_to("eve@example.com").is_empty());
    test.finish_with_open_jobs(1).await;
}

/// Waits until calls to an upstream are stopped because of its certificate, and returns the stop's code and message.
async fn stop_of(test: &TestWorker, upstream: &str) -> (String, String) {
    let query = format!("select code, message from upstreams where name = '{upstream}' and code is not null");
    eventually("a stop caused by the certificate", async || {
        let stops = test.rows::<(String, String)>(&query).await;
        match &stops[..] {
            [stop] if stop.1.contains("certificate") => Ok(stop.clone()),
            _ => Err(stops),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_are_called_through_the_proxy_and_loopback_addresses_directly() {
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        let mut test = TestWorker::new().await;
        let supabase = start_tls_proxy(&test.supabase.url()).await;
        let proxy = ConnectProxy::start([("supabase.test", supabase)]).await;
        test.set("LINK_ORIGINS", &test.supabase.url());
        test.set("SUPABASE_URL", "https://supabase.test");
        test.set("SUPABASE_CA_FILE", CA_FILE);
        test.set("RUST_LOG", "trace");
        test.set(variable, &format!("http://{CREDENTIALS}@{}", proxy.address));
        let worker = test.start_worker();
        let job = test.enqueue("ada@example.com").await;
        test.wait_for_state(job, "sent").await;

        let requests = proxy.requests();
        let expected = ("supabase.test:443".to_owned(), AUTHORIZATION.to_owned());
        assert!(
            !requests.is_empty() && requests.iter().all(|request| *request == expected),
            "{variable}: {requests:?}"
        );
        assert_eq!(test.mailgun.mails().len(), 1, "the call to the Mailgun stand-in on this machine failed");
        assert_eq!(count_log_lines(&worker, "calling Supabase and Mailgun through a proxy"), 1);
        let log = worker.log().join("\n");
        for secret in ["p%40ssword", "p@ssword", "YW5uOnBAc3N3b3Jk"] {
            assert!(!log.contains(secret), "{variable}: {secret} is in the log");
        }
        test.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_in_no_proxy_are_called_directly() {
    for variable in ["NO_PROXY", "no_proxy"] {
        let mut test = TestWorker::new().await;
        let proxy = ConnectProxy::start([]).await;
        // This name does not resolve, so a direct call fails.
        test.set("SUPABASE_URL", "https://supabase.test");
        test.set("HTTPS_PROXY", &format!("http://{}", proxy.address));
        test.set(variable, "10.0.0.0/8, .test");
        let _worker = test.start_worker();
        let job = test.enqueue("ada@example.com").await;
        let waiting = test.wait_for(job, "a failure", |job| job.code.is_some()).await;
        assert_eq!(waiting.code.as_deref(), Some("supabase_unreachable"), "{variable}");
        assert_eq!(proxy.requests(), [], "{variable}");
        test.finish_with_open_jobs(1).await;
    }
}
