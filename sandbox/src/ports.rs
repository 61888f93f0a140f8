//! Free ports on 127.0.0.1.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// A port on 127.0.0.1 that nothing listens on at the moment.
///
/// # Errors
/// No port is free.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// `preferred` if it is free, otherwise another port.
pub(crate) fn preferred_port(preferred: u16) -> io::Result<u16> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, preferred)) {
        Ok(_) => Ok(preferred),
        Err(_) => free_port(),
    }
}
