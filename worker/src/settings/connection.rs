//! The connection settings for an upstream: its proxy and the trusted certificates.

use std::fs;

use program::io_problem;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::ProxySettings;

/// How to connect to one upstream. By default, connections are direct, and only the public certificate authorities are
/// trusted.
#[derive(Clone, Default)]
pub struct ConnectionSettings {
    /// The proxy, if any. Calls to this machine and to the hosts in `NO_PROXY` do not use it.
    pub proxy: Option<ProxySettings>,
    /// Certificate authorities that are trusted for this upstream in addition to the public ones.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// Reads the certificates in a PEM file. Ignores everything else in the file, such as keys.
pub(super) fn read_certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = fs::read(path).map_err(|error| format!("`{path}` cannot be read: {}", io_problem(&error)))?;
    let mut store = RootCertStore::empty();
    let mut certificates = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        // Leave out the error, because it contains a line of the file.
        let certificate = certificate.map_err(|_| format!("`{path}` is not well-formed PEM"))?;
        let number = index + 1;
        store
            .add(certificate.clone())
            .map_err(|_| format!("certificate {number} in `{path}` is not a valid CA certificate"))?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err(format!("`{path}` contains no PEM certificate (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = include_str!("../../tests/fixtures/tls/ca.pem");
    const SERVER: &str = include_str!("../../tests/fixtures/tls/server.pem");
    const KEY: &str = include_str!("../../tests/fixtures/tls/server.key");

    fn read(text: &str) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        read_certificates(path).map(|found| found.len()).map_err(|error| error.replace(path, "FILE"))
    }

    #[test]
    fn every_certificate_in_a_file_is_read() {
        assert_eq!(read(CA), Ok(1));
        assert_eq!(read(&format!("# ours\n{CA}\n{KEY}{SERVER}")), Ok(2));
    }

    #[test]
    fn a_file_without_a_usable_certificate_is_rejected_with_the_reason() {
        let empty = "`FILE` contains no PEM certificate (-----BEGIN CERTIFICATE-----)";
        for text in ["", KEY, "no certificate"] {
            assert_eq!(read(text), Err(empty.to_owned()));
        }
        let broken = CA.replace("-----END CERTIFICATE-----", "");
        assert_eq!(read(&broken), Err("`FILE` is not well-formed PEM".to_owned()));
        let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = read(&format!("{CA}{not_der}")).unwrap_err();
        assert!(error == "certificate 2 in `FILE` is not a valid CA certificate", "{error}");
        let error = read_certificates("/nowhere/ca.pem").unwrap_err();
        assert!(error.starts_with("`/nowhere/ca.pem` cannot be read: "), "{error}");
    }
}
