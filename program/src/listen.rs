//! Opens a program's listeners. Unlike most bad settings, a bad address is noticed only when the program starts
//! listening.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use crate::io_problem::io_problem;

/// The program cannot listen on an address, for example because the address is in use, does not belong to this machine,
/// or is not allowed.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: cannot listen on {address}: {}", io_problem(.problem))]
pub struct ListenError {
    /// Name of the setting.
    pub variable: &'static str,
    /// Value of the setting.
    pub address: SocketAddr,
    /// The operating system's error.
    problem: io::Error,
}

/// Listens on the address that a setting contains. Must be called within a tokio runtime.
///
/// # Errors
/// [`ListenError`], whose message includes the name of the setting.
pub async fn listen(variable: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|problem| ListenError { variable, address, problem })
}
