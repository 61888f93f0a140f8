//! A small DNS server on loopback that serves a test's TXT records.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{RData, Record, rdata::TXT},
};
use tokio::{net::UdpSocket, task::JoinHandle};

type Records = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// A running server. It stops when this value is dropped.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    records: Records,
    task: JoinHandle<()>,
}

impl DnsServer {
    /// Starts a server with correct SPF, DKIM and DMARC records for `mg.example.com`.
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, records) = (socket.local_addr().unwrap(), Records::default());
        let task = tokio::spawn(serve(socket, Arc::clone(&records)));
        let server = Self { address, records, task };
        server.set("mg.example.com", &["unrelated", "v=spf1 include:mailgun.org ~all"]);
        server.set("mailo._domainkey.mg.example.com", &["k=rsa; p=c2FuZGJveA=="]);
        server.set("_dmarc.example.com", &["v=DMARC1; p=quarantine"]);
        server
    }

    /// Replaces the TXT records for a name.
    pub(crate) fn set(&self, name: &str, records: &[&str]) {
        let records = records.iter().map(|record| (*record).to_owned()).collect();
        self.records.lock().unwrap().insert(name.to_owned(), records);
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, records: Records) {
    let mut buffer = [0; 4096];
    loop {
        let (length, caller) = socket.recv_from(&mut buffer).await.unwrap();
        let Ok(query) = Message::from_vec(&buffer[..length]) else { continue };
        socket.send_to(&answer(&query, &records).to_vec().unwrap(), caller).await.unwrap();
    }
}

fn answer(query: &Message, records: &Records) -> Message {
    let question = query.queries[0].clone();
    let name = question.name().to_ascii().trim_end_matches('.').to_lowercase();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.add_query(question.clone());
    let found = records.lock().unwrap().get(&name).cloned().unwrap_or_default();
    if found.is_empty() {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer.add_answers(found.into_iter().map(|text| {
        // A string in a TXT record has at most 255 bytes, so longer text must be split. Split short text too, so that
        // the tests cover this case.
        let (start, end) = text.split_at(text.len() / 2);
        let txt = TXT::new(vec![start.to_owned(), end.to_owned()]);
        Record::from_rdata(question.name().clone(), 60, RData::TXT(txt))
    }));
    answer
}
