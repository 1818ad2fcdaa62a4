//! One TLS handshake, and what it means when it fails: the library keeps that to itself.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, Mutex};

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::ssl::{
    self, HandshakeError, MidHandshakeSslStream, SslConnector, SslMethod, SslStream, SslVerifyMode,
};
use openssl::x509::{X509, X509Ref};

use crate::settings::MqttSettings;

use crate::mqtt::client::error::{Refusal, RefusalKind as Kind};
use crate::mqtt::client::tls::tls_fails;

/// A handshake that failed.
pub(super) struct Failed {
    /// Why, for people.
    pub(super) refusal: Refusal,
    /// It looks as if the other side did not speak TLS at all.
    pub(super) may_be_plain: bool,
}

/// Goes through the handshake, checking chain and name.
pub(super) fn shake_hands(
    connector: &SslConnector,
    settings: &MqttSettings,
    stream: TcpStream,
) -> Result<SslStream<TcpStream>, Failed> {
    let set_up = |error: ErrorStack| Failed { refusal: tls_fails(&error), may_be_plain: false };
    let mut configuration = connector.configure().map_err(set_up)?;
    // OpenSSL forgets the certificate that it did not like.
    let at_fault = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&at_fault);
    configuration.set_verify_callback(SslVerifyMode::PEER, move |is_good, context| {
        if !is_good && let Ok(mut kept) = kept.lock() {
            *kept = context.current_cert().map(ToOwned::to_owned);
        }
        is_good
    });
    configuration.connect(&settings.url.host, stream).map_err(|error| match error {
        HandshakeError::SetupFailure(error) => set_up(error),
        // Its time was up.
        HandshakeError::WouldBlock(_) => {
            let sentence =
                format!("the broker at {} does not answer to TLS: it hangs, or it speaks none", settings.url);
            Failed { refusal: Refusal::new(Kind::Silent, sentence), may_be_plain: true }
        }
        HandshakeError::Failure(stream) => {
            let at_fault: Option<X509> = at_fault.lock().ok().and_then(|mut kept| kept.take());
            failed(&stream, at_fault.as_deref(), settings)
        }
    })
}

/// Whether the other side speaks TLS at all, with whatever certificate.
pub(super) fn is_spoken(host: &str, stream: TcpStream) -> bool {
    let Ok(mut builder) = SslConnector::builder(SslMethod::tls_client()) else { return false };
    builder.set_verify(SslVerifyMode::NONE);
    match builder.build().connect(host, stream) {
        Ok(_) => true,
        Err(HandshakeError::Failure(stream)) => codes(stream.error()).any(|code| code >= ALERT),
        Err(_) => false,
    }
}

/// Of the names in a certificate.
const NAMES_SHOWN: usize = 5;

/// How OpenSSL judges a certificate; the binding has no names for these.
const X509_V_OK: i32 = 0;
const X509_V_ERR_CERT_NOT_YET_VALID: i32 = 9;
const X509_V_ERR_CERT_HAS_EXPIRED: i32 = 10;
const X509_V_ERR_HOSTNAME_MISMATCH: i32 = 62;
const X509_V_ERR_IP_ADDRESS_MISMATCH: i32 = 64;

/// Codes of OpenSSL: what came is no TLS; the versions have nothing in common; what follows is an alert.
const NO_TLS: [i32; 4] = [156, 198, 267, 294];
const NO_COMMON_VERSION: [i32; 2] = [258, ALERT + 70];
const ALERT: i32 = 1000;
/// Alerts about our certificate: bad, unsupported, revoked, expired, unknown, of an unknown authority, and none
/// (TLS 1.2 says "handshake failure" then, TLS 1.3 "certificate required").
const CERTIFICATE_REFUSED: [i32; 6] =
    [ALERT + 42, ALERT + 43, ALERT + 44, ALERT + 45, ALERT + 46, ALERT + 48];
const CERTIFICATE_MISSING: [i32; 2] = [ALERT + 40, ALERT + 116];

fn codes(error: &ssl::Error) -> impl Iterator<Item = i32> {
    error.ssl_error().into_iter().flat_map(ErrorStack::errors).map(openssl::error::Error::reason_code)
}

fn failed(
    stream: &MidHandshakeSslStream<TcpStream>,
    certificate: Option<&X509Ref>,
    settings: &MqttSettings,
) -> Failed {
    let (host, verified) = (&settings.url.host, stream.ssl().verify_result());
    let refused =
        |kind, sentence: String| Failed { refusal: Refusal::new(kind, sentence), may_be_plain: false };
    match verified.as_raw() {
        X509_V_OK => {}
        X509_V_ERR_CERT_HAS_EXPIRED => {
            let on = certificate.map(|found| format!(" on {}", found.not_after())).unwrap_or_default();
            let sentence = format!(
                "the broker's certificate has expired{on}: renew it at the broker (or is this machine's clock wrong?)"
            );
            return refused(Kind::CertificateExpired, sentence);
        }
        X509_V_ERR_CERT_NOT_YET_VALID => {
            let before =
                certificate.map(|found| format!(" before {}", found.not_before())).unwrap_or_default();
            let sentence =
                format!("the broker's certificate is not valid{before}: is this machine's clock right?");
            return refused(Kind::CertificateExpired, sentence);
        }
        X509_V_ERR_HOSTNAME_MISMATCH | X509_V_ERR_IP_ADDRESS_MISMATCH => {
            let names = certificate.map(names).unwrap_or_default();
            let sentence = format!(
                "the broker's certificate is for {names}, not for {host:?}: write a name it is for in [mqtt] url, or give the broker one for this name"
            );
            return refused(Kind::CertificateName, sentence);
        }
        _ => {
            let sentence = format!(
                "the broker's certificate is not trusted ({}): set [mqtt] ca_file to the certificate of the authority that signed it",
                verified.error_string()
            );
            return refused(Kind::CertificateUnknown, sentence);
        }
    }
    if let Some(refusal) = of_codes(codes(stream.error()), settings) {
        return Failed { refusal, may_be_plain: false };
    }
    let is_no_tls = codes(stream.error()).any(|code| NO_TLS.contains(&code));
    let was_closed = stream.error().ssl_error().is_none();
    let sentence = format!(
        "what listens at {} does not speak TLS ({}): check host and port in [mqtt] url",
        settings.url,
        stream.error()
    );
    let kind = if is_no_tls || was_closed { Kind::NoBroker } else { Kind::Tls };
    Failed { refusal: Refusal::new(kind, sentence), may_be_plain: is_no_tls || was_closed }
}

/// What the broker says of us in an alert, which with TLS 1.3 comes after the handshake.
pub(super) fn of_alert(error: &io::Error, settings: &MqttSettings) -> Option<Refusal> {
    let error = error.get_ref()?.downcast_ref::<ssl::Error>()?;
    of_codes(codes(error), settings)
}

fn of_codes(mut codes: impl Iterator<Item = i32>, settings: &MqttSettings) -> Option<Refusal> {
    codes.find_map(|code| {
        if NO_COMMON_VERSION.contains(&code) {
            return Some(Refusal::new(Kind::Tls, "the broker speaks no TLS 1.2 or newer: renew it, or its settings"));
        }
        let sentence = match &settings.client_cert_file {
            None if CERTIFICATE_MISSING.contains(&code) => {
                "the broker wants a certificate of ours: set [mqtt] client_cert_file and client_key_file".to_owned()
            }
            Some(file) if CERTIFICATE_MISSING.contains(&code) || CERTIFICATE_REFUSED.contains(&code) => format!(
                "the broker does not accept our certificate {}: it must be valid and signed by an authority that the broker knows",
                file.display()
            ),
            _ => return None,
        };
        Some(Refusal::new(Kind::ClientCertificate, sentence))
    })
}

/// The names in a certificate, escaped: they are the broker's words.
fn names(certificate: &X509Ref) -> String {
    let others = certificate.subject_alt_names().into_iter().flatten();
    let mut names: Vec<String> = others
        .filter_map(|name| {
            let address = name.ipaddress().and_then(|bytes| match bytes.len() {
                4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
                _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
            });
            name.dnsname().map(|name| format!("{name:?}")).or(address.map(|address| address.to_string()))
        })
        .take(NAMES_SHOWN)
        .collect();
    if names.is_empty() {
        let common = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
        names.extend(common.filter_map(|entry| Some(format!("{:?}", entry.data().to_string().ok()?))));
    }
    if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
}
