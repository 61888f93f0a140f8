//! Ports on 127.0.0.1: a preferred one if it is free, else any.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// A port of 127.0.0.1 that nobody listens on right now.
///
/// # Errors
/// There is none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// `preferred` when it is free, else another one.
pub(crate) fn preferred_port(preferred: u16) -> io::Result<u16> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, preferred)) {
        Ok(_) => Ok(preferred),
        Err(_) => free_port(),
    }
}
