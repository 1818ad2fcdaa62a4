//! TLS: the certificates of the settings, for the session and for who looks why it failed.

use paho_mqtt::{Error, SslOptions, SslOptionsBuilder};

use crate::settings::MqttSettings;

use super::refusal::{Refusal, RefusalKind};

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
    Err(Refusal::new(RefusalKind::Settings, sentence))
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
        options.key_store(file)?;
    }
    if let Some(file) = &settings.client_key_file {
        options.private_key(file)?;
    }
    Ok(Some(options.finalize()))
}
