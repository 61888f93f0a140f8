//! Looks up TXT records in DNS.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, RecordType},
};

/// Maximum time for one query. A query that fails is repeated once.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// A DNS resolver.
pub(super) struct Dns(TokioResolver);

impl Dns {
    /// A resolver that queries `server`, or the system's DNS servers if `server` is `None`.
    ///
    /// # Errors
    /// The resolver cannot be created, for example because the system's DNS configuration is not readable.
    pub(super) fn new(server: Option<SocketAddr>) -> Result<Self, String> {
        let builder = match server {
            Some(address) => {
                let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
                (udp.port, tcp.port) = (address.port(), address.port());
                let server = NameServerConfig::new(address.ip(), true, vec![udp, tcp]);
                let config = ResolverConfig::from_parts(None, vec![], vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
        };
        let mut builder = builder;
        builder.options_mut().timeout = QUERY_TIMEOUT;
        builder.options_mut().attempts = 1;
        builder.build().map(Self).map_err(|error| error.to_string())
    }

    /// The TXT records of a name, each with its parts joined. Empty if there are none.
    ///
    /// # Errors
    /// The lookup failed.
    pub(super) async fn txt(&self, name: &str) -> Result<Vec<String>, String> {
        let lookup = match self.0.lookup(format!("{name}."), RecordType::TXT).await {
            Ok(lookup) => lookup,
            Err(error) if error.is_no_records_found() => return Ok(vec![]),
            Err(error) => return Err(outbox::redact(&error.to_string())),
        };
        let text = |data: &RData| match data {
            RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect::<String>()),
            _ => None,
        };
        Ok(lookup.answers().iter().filter_map(|record| text(&record.data)).collect())
    }
}
