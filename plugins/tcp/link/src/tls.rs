//! TLS: what the config names, and what goes wrong, in words that help.

use heka_plugin_api::{Faults, OptionType, PluginError};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// This side's certificate, with those between it and the authority behind it, and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Files and names of TLS, read at the start.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsOptions {
    /// PEM file of the authorities whose certificates are accepted.
    pub ca: Option<PathBuf>,
    /// PEM file of this side's certificate, with those between it and the authority behind it.
    pub certificate: Option<PathBuf>,
    /// PEM file of its key.
    pub key: Option<PathBuf>,
    /// Name that the other side's certificate must be for; the address's host when left out.
    pub server_name: Option<String>,
}

impl OptionType for TlsOptions {
    const TYPE_NAME: &'static str = "table";
}

impl TlsOptions {
    /// Finds faults of a side that connects, to one whose authority must be named.
    pub fn check_client(&self, faults: &mut Faults) {
        if self.ca.is_none() {
            faults.add(
                "tls.ca",
                "is needed: the file of the authority that signed the other side's certificate",
            );
        }
        if self.certificate.is_some() != self.key.is_some() {
            faults.add("tls", "`certificate` and `key` need each other");
        }
        if let Some(name) = &self.server_name
            && ServerName::try_from(name.clone()).is_err()
        {
            faults.add("tls.server_name", format!("`{name}` is no host name"));
        }
    }

    /// Finds faults of the side that listens.
    pub fn check_server(&self, faults: &mut Faults) {
        for (option, given) in [("tls.certificate", &self.certificate), ("tls.key", &self.key)] {
            if given.is_none() {
                faults.add(option, "is needed: those who connect must know whom they talk to");
            }
        }
        if self.server_name.is_some() {
            faults.add(
                "tls.server_name",
                "is for the side that connects: this one accepts any name that `ca` signed",
            );
        }
    }

    /// Reads the files of the side that connects.
    ///
    /// # Errors
    /// [`PluginError::Config`] names the file and what is wrong with it.
    pub fn client(&self) -> Result<Arc<ClientConfig>, PluginError> {
        let provider = provider();
        let roots = Arc::new(authorities("ca", self.ca.as_deref())?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
        let verifier = verifier.build().map_err(|why| fault("ca", &why.to_string()))?;
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(|why| unusable(&why))?;
        let builder = builder.with_webpki_verifier(verifier);
        let config = match self.identity()? {
            Some((chain, key)) => {
                builder.with_client_auth_cert(chain, key).map_err(|why| self.mismatch(&why))?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    /// Reads the files of the side that listens.
    ///
    /// # Errors
    /// As [`TlsOptions::client`].
    pub fn server(&self) -> Result<Arc<ServerConfig>, PluginError> {
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(|why| unusable(&why))?;
        let builder = match &self.ca {
            Some(path) => {
                let roots = Arc::new(authorities("ca", Some(path))?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = verifier.build().map_err(|why| fault("ca", &why.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = self.identity()?.ok_or_else(|| fault("certificate", "is needed"))?;
        builder.with_single_cert(chain, key).map(Arc::new).map_err(|why| self.mismatch(&why))
    }

    /// Reads the authorities' certificates, if they are named.
    ///
    /// # Errors
    /// As [`TlsOptions::client`].
    pub fn authorities(&self) -> Result<Option<Vec<CertificateDer<'static>>>, PluginError> {
        self.ca.as_deref().map(|path| certificates("ca", path)).transpose()
    }

    /// Reads this side's certificate and key, if they are named.
    ///
    /// # Errors
    /// As [`TlsOptions::client`].
    pub fn identity(&self) -> Result<Option<Identity>, PluginError> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else { return Ok(None) };
        let chain = certificates("certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|why| unreadable("key", key, &why))?;
        Ok(Some((chain, key)))
    }

    fn mismatch(&self, why: &Error) -> PluginError {
        let shown = |path: &Option<PathBuf>| path.as_deref().unwrap_or(Path::new("")).display().to_string();
        let (key, certificate) = (shown(&self.key), shown(&self.certificate));
        match why {
            Error::InconsistentKeys(_) => {
                fault("key", &format!("`{key}` is not the key of the certificate in `{certificate}`"))
            }
            _ => fault("key", &format!("`{key}` and `{certificate}` can't be used: {why}")),
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn fault(option: &str, why: &str) -> PluginError {
    PluginError::config(format!("tls.{option}: {why}"))
}

fn unusable(why: &Error) -> PluginError {
    PluginError::config(format!("tls: can't be used: {why}"))
}

fn unreadable(option: &str, path: &Path, why: &pem::Error) -> PluginError {
    let shown = path.display();
    match why {
        pem::Error::Io(why) => {
            fault(option, &format!("failed to read `{shown}`: {}", heka_plugin_api::cause(why)))
        }
        pem::Error::NoItemsFound => fault(option, &format!("`{shown}` holds none in PEM form")),
        _ => fault(option, &format!("`{shown}` is not in PEM form")),
    }
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, PluginError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => Err(unreadable(option, path, &pem::Error::NoItemsFound)),
        Ok(chain) => Ok(chain),
        Err(why) => Err(unreadable(option, path, &why)),
    }
}

fn authorities(option: &str, path: Option<&Path>) -> Result<RootCertStore, PluginError> {
    let path = path.ok_or_else(|| fault(option, "is needed"))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(option, path)? {
        let added = roots.add(certificate);
        added.map_err(|_| fault(option, &format!("`{}` holds a broken certificate", path.display())))?;
    }
    Ok(roots)
}

/// Says what went wrong, as text that fits behind the peer's name.
pub fn reason(why: &Error, handshaking: bool) -> String {
    match why {
        Error::InvalidCertificate(why) => certificate_reason(why).to_owned(),
        Error::NoCertificatesPresented => "it presented no certificate, but `ca` demands one".to_owned(),
        Error::AlertReceived(alert) => alert_reason(*alert),
        Error::InvalidMessage(_) if handshaking => {
            "it doesn't speak TLS, this side does: set `tls` on both sides or on none".to_owned()
        }
        Error::PeerIncompatible(_) => "it and this side have no TLS version or cipher in common".to_owned(),
        other => format!("TLS failed: {other}"),
    }
}

fn certificate_reason(why: &CertificateError) -> &'static str {
    use CertificateError::*;
    match why {
        Expired | ExpiredContext { .. } => "its certificate has expired",
        NotValidYet | NotValidYetContext { .. } => "its certificate is not valid yet",
        NotValidForName | NotValidForNameContext { .. } => {
            "its certificate is for another name; set `tls.server_name` if that is right"
        }
        UnknownIssuer | BadSignature => "its certificate is not signed by an authority in `ca`",
        InvalidPurpose | InvalidPurposeContext { .. } => "its certificate is for another purpose",
        Revoked => "its certificate was revoked",
        BadEncoding => "its certificate is broken",
        // What remains in practice is a certificate that signed itself and says that it is an authority.
        _ => "its certificate is not one that an authority in `ca` signed for a host",
    }
}

fn alert_reason(alert: AlertDescription) -> String {
    use AlertDescription::*;
    match alert {
        CertificateExpired => "it says that this side's certificate has expired".to_owned(),
        UnknownCA | DecryptError => {
            "it says that its `ca` doesn't know who signed this side's certificate".to_owned()
        }
        CertificateRequired => "it demands a certificate: set `tls.certificate` and `tls.key`".to_owned(),
        BadCertificate | UnsupportedCertificate | CertificateUnknown => {
            "it doesn't accept this side's certificate".to_owned()
        }
        HandshakeFailure | ProtocolVersion => {
            "it and this side have no TLS version or cipher in common".to_owned()
        }
        other => format!("it ended TLS with alert {}", u8::from(other)),
    }
}
