//! A webhook receiver that keeps the bodies and answers with preset statuses.

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

/// Runs until the test's runtime ends.
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

    /// Sets the statuses of the next answers. After those answers, the receiver answers 200 again.
    pub(crate) fn answer_next(&self, statuses: impl IntoIterator<Item = u16>) {
        self.inbox.answers.lock().unwrap().extend(statuses);
    }

    /// The bodies so far, in the order of arrival.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.inbox.bodies.lock().unwrap().clone()
    }

    /// Whether the body's signature was made with this key, checked as Mailgun's manual says.
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
