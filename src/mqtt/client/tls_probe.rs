//! Performs one TLS handshake and finds out why it fails, which Paho does not report.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::ssl::{
    self, HandshakeError, MidHandshakeSslStream, SslConnector, SslMethod, SslStream, SslVerifyMode,
};
use openssl::x509::{X509, X509Ref};
use parking_lot::Mutex;

use crate::settings::MqttSettings;

use crate::mqtt::client::error::{MqttError, MqttErrorKind as Kind};
use crate::mqtt::client::tls::setup_error;

pub(super) struct TlsFailure {
    pub(super) error: MqttError,
    /// The peer seems not to speak TLS at all.
    pub(super) may_be_plain: bool,
}

/// Verifies chain and host name.
pub(super) fn handshake(
    connector: &SslConnector,
    settings: &MqttSettings,
    stream: TcpStream,
) -> Result<SslStream<TcpStream>, TlsFailure> {
    let setup_failed = |error: ErrorStack| TlsFailure { error: setup_error(&error), may_be_plain: false };
    let mut configuration = connector.configure().map_err(setup_failed)?;
    // OpenSSL does not keep the certificate that failed verification.
    let rejected = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&rejected);
    configuration.set_verify_callback(SslVerifyMode::PEER, move |is_good, context| {
        if !is_good {
            *slot.lock() = context.current_cert().map(ToOwned::to_owned);
        }
        is_good
    });
    configuration.connect(&settings.url.host, stream).map_err(|error| match error {
        HandshakeError::SetupFailure(error) => setup_failed(error),
        // The deadline has passed.
        HandshakeError::WouldBlock(_) => {
            let message = format!(
                "the broker at {} did not complete the TLS handshake: it hangs, or it does not speak TLS",
                settings.url
            );
            TlsFailure { error: MqttError::new(Kind::Timeout, message), may_be_plain: true }
        }
        HandshakeError::Failure(stream) => {
            let rejected: Option<X509> = rejected.lock().take();
            failure(&stream, rejected.as_deref(), settings)
        }
    })
}

/// Accepts any certificate.
pub(super) fn speaks_tls(host: &str, stream: TcpStream) -> bool {
    let Ok(mut builder) = SslConnector::builder(SslMethod::tls_client()) else { return false };
    builder.set_verify(SslVerifyMode::NONE);
    match builder.build().connect(host, stream) {
        Ok(_) => true,
        Err(HandshakeError::Failure(stream)) => codes(stream.error()).any(|code| code >= ALERT),
        Err(_) => false,
    }
}

/// Names of a certificate that an error shows.
const MAX_NAMES: usize = 5;

// Verification results of OpenSSL, for which the binding has no names.
const X509_V_OK: i32 = 0;
const X509_V_ERR_CERT_NOT_YET_VALID: i32 = 9;
const X509_V_ERR_CERT_HAS_EXPIRED: i32 = 10;
const X509_V_ERR_HOSTNAME_MISMATCH: i32 = 62;
const X509_V_ERR_IP_ADDRESS_MISMATCH: i32 = 64;

// Error codes of OpenSSL.

/// The peer does not speak TLS.
const NO_TLS: [i32; 4] = [156, 198, 267, 294];
/// No version in common.
const NO_COMMON_VERSION: [i32; 2] = [258, ALERT + 70];
/// Added to the number of an alert that the peer sent.
const ALERT: i32 = 1000;
/// Alerts about the client certificate: bad, unsupported, revoked, expired, unknown, of an unknown CA.
const CERTIFICATE_REFUSED: [i32; 6] =
    [ALERT + 42, ALERT + 43, ALERT + 44, ALERT + 45, ALERT + 46, ALERT + 48];
/// TLS 1.2 sends "handshake failure", TLS 1.3 "certificate required".
const CERTIFICATE_MISSING: [i32; 2] = [ALERT + 40, ALERT + 116];

fn codes(error: &ssl::Error) -> impl Iterator<Item = i32> {
    error.ssl_error().into_iter().flat_map(ErrorStack::errors).map(openssl::error::Error::reason_code)
}

fn failure(
    stream: &MidHandshakeSslStream<TcpStream>,
    certificate: Option<&X509Ref>,
    settings: &MqttSettings,
) -> TlsFailure {
    let (host, verified) = (&settings.url.host, stream.ssl().verify_result());
    let untrusted =
        |kind, message: String| TlsFailure { error: MqttError::new(kind, message), may_be_plain: false };
    match verified.as_raw() {
        X509_V_OK => {}
        X509_V_ERR_CERT_HAS_EXPIRED => {
            let on = certificate.map(|found| format!(" on {}", found.not_after())).unwrap_or_default();
            let message = format!(
                "the broker's certificate has expired{on}: renew it on the broker, or check this machine's clock"
            );
            return untrusted(Kind::CertificateExpired, message);
        }
        X509_V_ERR_CERT_NOT_YET_VALID => {
            let before =
                certificate.map(|found| format!(" before {}", found.not_before())).unwrap_or_default();
            let message =
                format!("the broker's certificate is not valid{before}: check this machine's clock");
            return untrusted(Kind::CertificateExpired, message);
        }
        X509_V_ERR_HOSTNAME_MISMATCH | X509_V_ERR_IP_ADDRESS_MISMATCH => {
            let names = certificate.map(certificate_names).unwrap_or_default();
            let message = format!(
                "the broker's certificate is for {names}, not for {host:?}: use one of these names in [mqtt] url, or give the \
                 broker a certificate for this name"
            );
            return untrusted(Kind::CertificateName, message);
        }
        _ => {
            let message = format!(
                "the broker's certificate is not trusted ({}): set [mqtt] ca_file to the certificate of the CA that \
                 signed it",
                verified.error_string()
            );
            return untrusted(Kind::CertificateUntrusted, message);
        }
    }
    if let Some(error) = error_from_codes(codes(stream.error()), settings) {
        return TlsFailure { error, may_be_plain: false };
    }
    let is_no_tls = codes(stream.error()).any(|code| NO_TLS.contains(&code));
    let was_closed = stream.error().ssl_error().is_none();
    let message = format!(
        "{} does not speak TLS ({}): check host and port in [mqtt] url",
        settings.url,
        stream.error()
    );
    let kind = if is_no_tls || was_closed { Kind::NotABroker } else { Kind::Tls };
    TlsFailure { error: MqttError::new(kind, message), may_be_plain: is_no_tls || was_closed }
}

/// The alert in which the broker rejects the client certificate; with TLS 1.3 it comes after the handshake.
pub(super) fn error_from_alert(error: &io::Error, settings: &MqttSettings) -> Option<MqttError> {
    let error = error.get_ref()?.downcast_ref::<ssl::Error>()?;
    error_from_codes(codes(error), settings)
}

fn error_from_codes(mut codes: impl Iterator<Item = i32>, settings: &MqttSettings) -> Option<MqttError> {
    codes.find_map(|code| {
        if NO_COMMON_VERSION.contains(&code) {
            return Some(MqttError::new(Kind::Tls, "the broker does not support TLS 1.2 or newer: update the broker or its settings"));
        }
        let message = match &settings.client_cert_file {
            None if CERTIFICATE_MISSING.contains(&code) => {
                "the broker requires a client certificate: set [mqtt] client_cert_file and client_key_file".to_owned()
            }
            Some(file) if CERTIFICATE_MISSING.contains(&code) || CERTIFICATE_REFUSED.contains(&code) => format!(
                "the broker rejects the client certificate {}: it must be valid and signed by a CA that the broker \
                 trusts",
                file.display()
            ),
            _ => return None,
        };
        Some(MqttError::new(Kind::ClientCertificate, message))
    })
}

/// Escaped, since they come from the broker.
fn certificate_names(certificate: &X509Ref) -> String {
    let others = certificate.subject_alt_names().into_iter().flatten();
    let mut names: Vec<String> = others
        .filter_map(|name| {
            let address = name.ipaddress().and_then(|bytes| match bytes.len() {
                4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
                _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
            });
            name.dnsname().map(|name| format!("{name:?}")).or(address.map(|address| address.to_string()))
        })
        .take(MAX_NAMES)
        .collect();
    if names.is_empty() {
        let common = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
        names.extend(common.filter_map(|entry| Some(format!("{:?}", entry.data().to_string().ok()?))));
    }
    if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
}
