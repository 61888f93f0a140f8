//! A webhook receiver that records the request bodies and responds with preset statuses.

use hmac::{Hmac, Mac};
use poem::{
    EndpointExt, Route, Server, handler,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
    post,
    web::{Data, Json},
};
use serde_json::Value;
use sha2::Sha256;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

#[derive(Clone, Default)]
struct Inbox {
    bodies: Arc<Mutex<Vec<Value>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

/// A running webhook receiver, which stops when the test's runtime ends.
pub(crate) struct Receiver {
    url: String,
    inbox: Inbox,
}

impl Receiver {
    pub(crate) async fn start() -> Receiver {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = acceptor.local_addr()[0].as_socket_addr().copied().unwrap();
        let inbox = Inbox::default();
        let app = Route::new().at("/hook", post(receive).data(inbox.clone()));
        tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
        Receiver { url: format!("http://{address}/hook"), inbox }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Queues the statuses of the next responses. When the queue is empty, the receiver responds with 200.
    pub(crate) fn answer_next(&self, statuses: impl IntoIterator<Item = u16>) {
        self.inbox.answers.lock().unwrap().extend(statuses);
    }

    /// The request bodies received so far, in order of arrival.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.inbox.bodies.lock().unwrap().clone()
    }

    /// Whether the body was signed with this key. The check follows Mailgun's manual.
    pub(crate) fn is_signed(body: &Value, key: &str) -> bool {
        let text = |name: &str| body["signature"][name].as_str().unwrap().to_owned();
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update((text("timestamp") + &text("token")).as_bytes());
        format!("{:x}", mac.finalize().into_bytes()) == text("signature")
    }
}

#[handler]
fn receive(Data(inbox): Data<&Inbox>, Json(body): Json<Value>) -> StatusCode {
    inbox.bodies.lock().unwrap().push(body);
    let status = inbox.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}
