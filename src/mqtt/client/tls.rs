//! TLS: the certificates of the settings, for the session and for who looks why it failed.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use paho_mqtt::{Error, SslOptions, SslOptionsBuilder};

use crate::settings::MqttSettings;

use crate::mqtt::client::error::{Refusal, RefusalKind as Kind};

/// Ciphers that came with TLS 1.2, which leaves out what is older: with them alone, no older version can be
/// agreed on. (The library's own setting of a version is without effect since OpenSSL 1.1.)
const CIPHERS: &str = "HIGH+TLSv1.2:!aNULL:!PSK";

/// Whether the settings ask for what can be done.
pub(super) fn possible(settings: &MqttSettings) -> Result<(), Refusal> {
    if !(settings.url.tls && settings.url.host.contains(':')) {
        return Ok(());
    }
    let sentence = "TLS needs the broker's name or IPv4 address in [mqtt] url: the MQTT library can't hold a \
                    certificate against an IPv6 address";
    Err(Refusal::new(Kind::Settings, sentence))
}

/// What the session needs, with TLS.
pub(super) fn of_session(settings: &MqttSettings) -> Result<Option<SslOptions>, Error> {
    if !settings.url.tls {
        return Ok(None);
    }
    let mut options = SslOptionsBuilder::new();
    // The chain, and the host's name in it.
    options.enable_server_cert_auth(true).verify(true).enabled_cipher_suites(CIPHERS);
    if let Some(file) = &settings.ca_file {
        options.trust_store(file)?;
    }
    if let Some(file) = &settings.client_cert_file {
        // A key that needs a password is refused; without this OpenSSL would ask for it on the terminal.
        options.key_store(file)?.private_key_password("none");
    }
    if let Some(file) = &settings.client_key_file {
        options.private_key(file)?;
    }
    Ok(Some(options.finalize()))
}

/// The same certificates and checks as the session's, for one handshake.
pub(super) fn connector(settings: &MqttSettings) -> Result<SslConnector, Refusal> {
    let unusable = |error: ErrorStack| tls_fails(&error);
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(unusable)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(unusable)?;
    if let Some(file) = &settings.ca_file {
        let mut store = X509StoreBuilder::new().map_err(unusable)?;
        for authority in certificates("ca_file", file)? {
            store.add_cert(authority).map_err(unusable)?;
        }
        builder.set_cert_store(store.build());
    }
    if let Some(file) = &settings.client_cert_file {
        let key_file = settings.client_key_file.as_ref().unwrap_or(file);
        present(&mut builder, file, key_file)?;
    }
    Ok(builder.build())
}

/// Our own certificate and its key.
fn present(builder: &mut SslConnectorBuilder, file: &Path, key_file: &Path) -> Result<(), Refusal> {
    certificates("client_cert_file", file)?;
    builder.set_certificate_chain_file(file).map_err(|error| tls_fails(&error))?;
    let of_no_use = |what| {
        let sentence = format!("[mqtt] client_key_file {} {what}", key_file.display());
        Refusal::new(Kind::File, sentence)
    };
    let key = PKey::private_key_from_pem_callback(&read("client_key_file", key_file)?, |_| Ok(0))
        .map_err(|_| of_no_use("holds no private key in PEM that needs no password"))?;
    builder
        .set_private_key(&key)
        .map_err(|_| of_no_use("does not belong to the certificate in client_cert_file"))
}

fn read(name: &str, file: &Path) -> Result<Vec<u8>, Refusal> {
    std::fs::read(file).map_err(|error| {
        Refusal::new(Kind::File, format!("[mqtt] {name} {} can't be read: {error}", file.display()))
    })
}

fn certificates(name: &str, file: &Path) -> Result<Vec<X509>, Refusal> {
    let text = read(name, file)?;
    X509::stack_from_pem(&text).ok().filter(|found| !found.is_empty()).ok_or_else(|| {
        let sentence = format!(
            "[mqtt] {name} {} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
            file.display()
        );
        Refusal::new(Kind::File, sentence)
    })
}

/// Nothing that settings could mend.
pub(super) fn tls_fails(error: &ErrorStack) -> Refusal {
    Refusal::new(Kind::Tls, format!("TLS can't be set up on this machine: {error}"))
}
