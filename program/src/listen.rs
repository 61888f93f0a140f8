//! Opens the listeners of a program. Unlike most bad settings, a bad address is noticed only when the program starts
//! listening.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use crate::io_problem::io_problem;

/// An address to listen on is in use, not an address of this machine, or not allowed.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: cannot listen on {address}: {}", io_problem(.problem))]
pub struct ListenError {
    /// Name of the setting.
    pub variable: &'static str,
    /// Value of the setting.
    pub address: SocketAddr,
    /// What the operating system said.
    problem: io::Error,
}

/// Listens on the address of a setting. Must be called within a tokio runtime.
///
/// # Errors
/// [`ListenError`], whose text names the setting.
pub async fn listen(variable: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|problem| ListenError { variable, address, problem })
}
