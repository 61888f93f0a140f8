//! Free ports on 127.0.0.1.

use std::{
    collections::HashSet,
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use rand::Rng as _;

/// The ports to choose from. They are below the range from which Linux takes the ports of outgoing connections and of
/// listeners on port 0 (`net.ipv4.ip_local_port_range`). So the operating system gives them to nobody else before the caller
/// listens on its port.
const PORTS: Range<u16> = 15_000..32_000;

/// Number of ports to try.
const ATTEMPTS: usize = 1_000;

/// The ports that this process has returned.
static RETURNED: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A random port on 127.0.0.1 that nothing listens on at the moment. This process never gets the same port twice.
///
/// # Errors
/// No port is free.
pub fn free_port() -> io::Result<u16> {
    let mut returned = RETURNED.lock().unwrap_or_else(PoisonError::into_inner);
    let returned = returned.get_or_insert_default();
    let mut result = Err(io::ErrorKind::AddrInUse.into());
    for _ in 0..ATTEMPTS {
        let port = rand::rng().random_range(PORTS);
        if returned.contains(&port) {
            continue;
        }
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => {
                returned.insert(port);
                return Ok(port);
            }
            Err(error) => result = Err(error),
        }
    }
    result
}

/// `preferred` if it is free, otherwise another port.
pub(crate) fn preferred_port(preferred: u16) -> io::Result<u16> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, preferred)) {
        Ok(_) => Ok(preferred),
        Err(_) => free_port(),
    }
}
