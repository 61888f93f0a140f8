//! A minimal HTTP client that lets a test choose which bytes it sends, and when.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Maximum wait for a response. It is longer than the api's time limits that tests wait for (5 s for a head, 10 s for a
/// body).
const TIMEOUT: Duration = Duration::from_secs(20);

/// A response as received.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    /// The value of a header. Panics if the header is repeated.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is repeated in {self:?}");
        value
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the response as `Ok` if it has this status, otherwise as `Err`. Meant for `eventually`.
    pub(crate) fn with_status(self, status: u16) -> Result<Self, Self> {
        if self.status == status { Ok(self) } else { Err(self) }
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request: head and body.
#[derive(Clone)]
pub(crate) struct RawRequest {
    method: &'static str,
    path: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl RawRequest {
    pub(crate) fn new(method: &'static str, path: &'static str) -> Self {
        Self { method, path, headers: vec![], body: vec![] }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The bytes of the head, including the empty line.
    pub(crate) fn head(&self, connection: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: api\r\nConnection: {connection}\r\n", self.method, self.path);
        head += &format!("Content-Length: {}\r\n", self.body.len());
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        (head + "\r\n").into_bytes()
    }

    /// Sends the request on a new connection.
    pub(crate) async fn send(&self, address: SocketAddr) -> HttpResponse {
        let mut connection = RawConnection::open(address).await;
        connection.write(&self.head("close")).await;
        connection.write(&self.body).await;
        connection.read_response().await
    }
}

impl RawRequest {
    /// Sends the request on a new connection, and returns everything that arrives until the server closes the
    /// connection. Use this for HEAD, because the response has a `Content-Length` but no body.
    pub(crate) async fn send_for_head(&self, address: SocketAddr) -> String {
        let mut connection = RawConnection::open(address).await;
        connection.write(&self.head("close")).await;
        String::from_utf8(connection.read_until_closed().await).unwrap()
    }
}

/// A TCP connection to the api.
pub(crate) struct RawConnection(TcpStream);

impl RawConnection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Returns whether the write succeeded: `false` if the server has closed the connection.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Reads one response. The connection may stay open.
    pub(crate) async fn read_response(&mut self) -> HttpResponse {
        timeout(TIMEOUT, self.receive_response()).await.expect("no response within the time limit")
    }

    /// Waits until the server closes the connection, and returns everything that the server has sent.
    pub(crate) async fn read_until_closed(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = timeout(TIMEOUT, self.0.read_to_end(&mut bytes)).await;
        // A connection reset also counts as closed.
        read.expect("the server did not close the connection").ok();
        bytes
    }

    /// Reads a response to HEAD, which has no body, and returns its status.
    pub(crate) async fn read_status(&mut self) -> u16 {
        timeout(TIMEOUT, self.receive_head()).await.expect("no response within the time limit").0
    }

    async fn receive_head(&mut self) -> (u16, Vec<(String, String)>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = self.0.read_u8().await.unwrap_or_else(|error| {
                panic!("{error} after {:?}", String::from_utf8_lossy(&head));
            });
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        (status, headers)
    }

    async fn receive_response(&mut self) -> HttpResponse {
        let (status, headers) = self.receive_head().await;
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        HttpResponse { status, headers, body }
    }
}
