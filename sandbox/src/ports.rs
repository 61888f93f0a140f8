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
/// listeners on port 0 (`net.ipv4.ip_local_port_range`). The operating system therefore does not give a port to another
/// process before the caller listens on it.
const PORTS: Range<u16> = 15_000..32_000;

/// Maximum number of ports to try.
const ATTEMPTS: usize = 1_000;

/// The ports that [`free_port`] has already handed out in this process.
static RETURNED: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// Returns a random port on 127.0.0.1 that nothing listens on at the moment. Never returns the same port twice in one
/// process.
///
/// # Errors
/// None of the ports that were tried is free.
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

/// Returns `preferred` if that port is free, otherwise another port.
pub(crate) fn preferred_port(preferred: u16) -> io::Result<u16> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, preferred)) {
        Ok(_) => Ok(preferred),
        Err(_) => free_port(),
    }
}
