//! TLS options from the settings, for the session and for the diagnosis of a failed one.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use paho_mqtt::{Error, SslOptions, SslOptionsBuilder};

use crate::settings::MqttSettings;

use crate::mqtt::client::error::{MqttError, MqttErrorKind as Kind};

/// Ciphers that TLS 1.2 introduced, so that no older version can be negotiated. (Paho's own setting of a minimum
/// version has no effect since OpenSSL 1.1.)
const CIPHERS: &str = "HIGH+TLSv1.2:!aNULL:!PSK";

/// # Errors
/// For an IPv6 address with TLS: Paho can't verify its certificate.
pub(super) fn check_supported(settings: &MqttSettings) -> Result<(), MqttError> {
    if !(settings.url.tls && settings.url.host.contains(':')) {
        return Ok(());
    }
    let message = "TLS requires a host name or IPv4 address in [mqtt] url: the MQTT library can't verify a certificate \
                    for an IPv6 address";
    Err(MqttError::new(Kind::InvalidSettings, message))
}

/// `None` without TLS.
pub(super) fn session_options(settings: &MqttSettings) -> Result<Option<SslOptions>, Error> {
    if !settings.url.tls {
        return Ok(None);
    }
    let mut options = SslOptionsBuilder::new();
    // Verify the chain and the host name.
    options.enable_server_cert_auth(true).verify(true).enabled_cipher_suites(CIPHERS);
    if let Some(file) = &settings.ca_file {
        options.trust_store(file)?;
    }
    if let Some(file) = &settings.client_cert_file {
        // An encrypted key is an error; without this, OpenSSL would ask for its password on the terminal.
        options.key_store(file)?.private_key_password("none");
    }
    if let Some(file) = &settings.client_key_file {
        options.private_key(file)?;
    }
    Ok(Some(options.finalize()))
}

/// The same certificates and checks as in the session, for one handshake.
pub(super) fn connector(settings: &MqttSettings) -> Result<SslConnector, MqttError> {
    let failed = |error: ErrorStack| setup_error(&error);
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(failed)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(failed)?;
    if let Some(file) = &settings.ca_file {
        let mut store = X509StoreBuilder::new().map_err(failed)?;
        for authority in read_certificates("ca_file", file)? {
            store.add_cert(authority).map_err(failed)?;
        }
        builder.set_cert_store(store.build());
    }
    if let Some(file) = &settings.client_cert_file {
        let key_file = settings.client_key_file.as_ref().unwrap_or(file);
        set_client_certificate(&mut builder, file, key_file)?;
    }
    Ok(builder.build())
}

fn set_client_certificate(
    builder: &mut SslConnectorBuilder,
    file: &Path,
    key_file: &Path,
) -> Result<(), MqttError> {
    read_certificates("client_cert_file", file)?;
    builder.set_certificate_chain_file(file).map_err(|error| setup_error(&error))?;
    let invalid_key = |problem| {
        let message = format!("[mqtt] client_key_file {} {problem}", key_file.display());
        MqttError::new(Kind::InvalidFile, message)
    };
    let key = PKey::private_key_from_pem_callback(&read_file("client_key_file", key_file)?, |_| Ok(0))
        .map_err(|_| invalid_key("contains no unencrypted private key in PEM format"))?;
    builder
        .set_private_key(&key)
        .map_err(|_| invalid_key("does not match the certificate in client_cert_file"))
}

fn read_file(name: &str, file: &Path) -> Result<Vec<u8>, MqttError> {
    std::fs::read(file).map_err(|error| {
        MqttError::new(Kind::InvalidFile, format!("[mqtt] {name} {} can't be read: {error}", file.display()))
    })
}

fn read_certificates(name: &str, file: &Path) -> Result<Vec<X509>, MqttError> {
    let text = read_file(name, file)?;
    X509::stack_from_pem(&text).ok().filter(|found| !found.is_empty()).ok_or_else(|| {
        let message = format!(
            "[mqtt] {name} {} contains no certificate in PEM format (-----BEGIN CERTIFICATE-----)",
            file.display()
        );
        MqttError::new(Kind::InvalidFile, message)
    })
}

pub(super) fn setup_error(error: &ErrorStack) -> MqttError {
    MqttError::new(Kind::Tls, format!("TLS can't be set up on this machine: {error}"))
}
