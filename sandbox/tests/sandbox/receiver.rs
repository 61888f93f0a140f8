//! A webhook's receiver: it keeps the bodies, and answers as told.

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
struct Desk {
    bodies: Arc<Mutex<Vec<Value>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

/// Runs until the test's runtime ends.
pub(crate) struct Receiver {
    url: String,
    desk: Desk,
}

impl Receiver {
    pub(crate) async fn start() -> Receiver {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = acceptor.local_addr()[0].as_socket_addr().copied().unwrap();
        let desk = Desk::default();
        let app = Route::new().at("/hook", post(receive).data(desk.clone()));
        tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
        Receiver { url: format!("http://{address}/hook"), desk }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The statuses of the next answers; after them it is 200 again.
    pub(crate) fn answer_next(&self, statuses: impl IntoIterator<Item = u16>) {
        self.desk.answers.lock().unwrap().extend(statuses);
    }

    /// The bodies so far, in the order of arrival.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.desk.bodies.lock().unwrap().clone()
    }

    /// Whether the body's signature is of this key, checked as Mailgun's manual says.
    pub(crate) fn is_signed(body: &Value, key: &str) -> bool {
        let text = |name: &str| body["signature"][name].as_str().unwrap().to_owned();
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update((text("timestamp") + &text("token")).as_bytes());
        format!("{:x}", mac.finalize().into_bytes()) == text("signature")
    }
}

#[handler]
fn receive(Data(desk): Data<&Desk>, Json(body): Json<Value>) -> StatusCode {
    desk.bodies.lock().unwrap().push(body);
    let status = desk.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}
