//! TLS with a real broker: what is accepted, what is refused, and the error messages.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::thread;

use bankwatch::internals::mqtt::client::error::MqttErrorKind as Kind;
use bankwatch::internals::mqtt::client::session::{MqttSession, MqttTimeouts};
use bankwatch::internals::mqtt::message::Message;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslOptions, SslVersion};
use openssl::symm::Cipher;
use openssl::x509::X509;
use support::broker::{Broker, Setup, settings};
use support::certificates::{Authority, SignedCertificate};
use support::mqtt;
use support::mqtt::{SHORT_TIMEOUTS, connect_error, connected, session_with};

const DAY: i64 = 86_400;

/// A broker with this certificate and further lines of settings.
fn guarded(papers: &SignedCertificate, authority: &Authority, lines: &str) -> Option<Broker> {
    let lines = format!("certfile {{folder}}/broker.crt\nkeyfile {{folder}}/broker.key\n{lines}");
    Setup::default()
        .file("broker.crt", papers.certificate.clone())
        .file("broker.key", papers.key.clone())
        .file("ca.crt", authority.certificate())
        .settings(&lines)
        .start()
}

fn url(broker: &Broker, host: &str) -> String {
    format!("mqtts://{host}:{}", broker.port())
}

/// Lines of `[mqtt]` with files in the broker's folder.
fn files(broker: &Broker, files: &[(&str, &str)]) -> String {
    files.iter().fold(String::new(), |mut lines, (key, name)| {
        writeln!(lines, "{key} = \"{}\"", broker.folder().join(name).display()).unwrap();
        lines
    })
}

fn trusting(broker: &Broker) -> String {
    files(broker, &[("ca_file", "ca.crt")])
}

async fn attempt(url: &str, lines: &str) -> (Kind, String) {
    let refusal = connect_error(&mut session_with(&settings(url, lines), SHORT_TIMEOUTS)).await;
    (refusal.kind, refusal.to_string())
}

#[tokio::test]
async fn a_valid_certificate_is_accepted_by_name_and_by_address() {
    let authority = Authority::new("Test authority");
    let papers = authority.sign(&["localhost", "127.0.0.1"]);
    for older in ["", "tls_version tlsv1.2"] {
        let Some(broker) = guarded(&papers, &authority, older) else { return };
        for host in ["localhost", "127.0.0.1"] {
            for version in ["5", "3.1.1"] {
                let lines = trusting(&broker) + &format!("version = \"{version}\"");
                let mut session = connected(&settings(&url(&broker, host), &lines)).await;
                session.publish(vec![Message::retained("a", "1")]).await.unwrap();
                session.close().await;
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new("Test authority");
    let papers = authority.sign(&["broker.lan", "192.0.2.7"]);
    let Some(broker) = guarded(&papers, &authority, "") else { return };
    for host in ["localhost", "127.0.0.1"] {
        let expected = format!(
            "the broker's certificate is for \"broker.lan\", 192.0.2.7, not for \"{host}\": use one of these \
             names in [mqtt] url, or give the broker a certificate for this name"
        );
        assert_eq!(attempt(&url(&broker, host), &trusting(&broker)).await, (Kind::CertificateName, expected));
    }
}

#[tokio::test]
async fn an_expired_or_future_certificate_is_refused() {
    let authority = Authority::new("Test authority");
    for (from, until, begins) in [
        (-2 * DAY, -DAY, "the broker's certificate has expired on "),
        (DAY, 2 * DAY, "the broker's certificate is not valid before "),
    ] {
        let papers = authority.sign_for(&["localhost"], from, until);
        let Some(broker) = guarded(&papers, &authority, "") else { return };
        let (kind, sentence) = attempt(&url(&broker, "localhost"), &trusting(&broker)).await;
        assert_eq!(kind, Kind::CertificateExpired);
        assert!(sentence.starts_with(begins) && sentence.contains("clock"), "{sentence}");
    }
}

#[tokio::test]
async fn a_certificate_of_an_untrusted_ca_is_refused() {
    let (authority, other) = (Authority::new("Test authority"), Authority::new("Somebody else"));
    let Some(broker) = guarded(&other.sign(&["localhost"]), &authority, "") else { return };
    // Neither a CA file of another authority nor the system's store accepts it.
    for lines in [trusting(&broker), String::new()] {
        let (kind, sentence) = attempt(&url(&broker, "localhost"), &lines).await;
        assert_eq!(kind, Kind::CertificateUntrusted);
        let ends = "): set [mqtt] ca_file to the certificate of the CA that signed it";
        assert!(
            sentence.starts_with("the broker's certificate is not trusted (") && sentence.ends_with(ends),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn a_required_client_certificate_is_sent() {
    let (authority, other) = (Authority::new("Test authority"), Authority::new("Somebody else"));
    for version in ["", "tls_version tlsv1.2"] {
        let wants = format!("cafile {{folder}}/ca.crt\nrequire_certificate true\n{version}");
        let Some(broker) = guarded(&authority.sign(&["localhost"]), &authority, &wants) else { return };
        let here = url(&broker, "localhost");
        let lay = |name: &str, papers: &SignedCertificate| {
            std::fs::write(broker.folder().join(format!("{name}.crt")), &papers.certificate).unwrap();
            std::fs::write(broker.folder().join(format!("{name}.key")), &papers.key).unwrap();
        };
        lay("good", &authority.sign(&["bankwatch"]));
        lay("bad", &other.sign(&["bankwatch"]));
        let shown = |name: &str| {
            let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
            files(
                &broker,
                &[("ca_file", "ca.crt"), ("client_cert_file", &certificate), ("client_key_file", &key)],
            )
        };
        connected(&settings(&here, &shown("good")))
            .await
            .publish(vec![Message::transient("a", "")])
            .await
            .unwrap();
        let missing =
            "the broker requires a client certificate: set [mqtt] client_cert_file and client_key_file";
        assert_eq!(attempt(&here, &trusting(&broker)).await, (Kind::ClientCertificate, missing.to_owned()));
        let refused = format!(
            "the broker rejects the client certificate {}: it must be valid and signed by a CA that the broker \
             trusts",
            broker.folder().join("bad.crt").display()
        );
        assert_eq!(attempt(&here, &shown("bad")).await, (Kind::ClientCertificate, refused));
    }
}

#[tokio::test]
async fn unusable_files_are_named() {
    let authority = Authority::new("Test authority");
    let papers = authority.sign(&["localhost"]);
    let Some(broker) = guarded(&papers, &authority, "") else { return };
    let (here, folder) = (url(&broker, "localhost"), broker.folder());
    std::fs::write(folder.join("empty"), "no certificate\n").unwrap();
    std::fs::write(folder.join("other.key"), authority.sign(&["other"]).key).unwrap();
    let key = PKey::private_key_from_pem(&papers.key).unwrap();
    let locked = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"locked").unwrap();
    std::fs::write(folder.join("locked.key"), locked).unwrap();
    let own = |key| {
        files(&broker, &[("ca_file", "ca.crt"), ("client_cert_file", "broker.crt"), ("client_key_file", key)])
    };
    let path = |name: &str| folder.join(name).display().to_string();
    for (lines, expected) in [
        (
            files(&broker, &[("ca_file", "missing")]),
            format!(
                "[mqtt] ca_file {} can't be read: No such file or directory (os error 2)",
                path("missing")
            ),
        ),
        (
            files(&broker, &[("ca_file", "empty")]),
            format!(
                "[mqtt] ca_file {} contains no certificate in PEM format (-----BEGIN CERTIFICATE-----)",
                path("empty")
            ),
        ),
        (
            own("missing"),
            format!(
                "[mqtt] client_key_file {} can't be read: No such file or directory (os error 2)",
                path("missing")
            ),
        ),
        (
            own("empty"),
            format!(
                "[mqtt] client_key_file {} contains no unencrypted private key in PEM format",
                path("empty")
            ),
        ),
        (
            own("locked.key"),
            format!(
                "[mqtt] client_key_file {} contains no unencrypted private key in PEM format",
                path("locked.key")
            ),
        ),
        (
            own("other.key"),
            format!(
                "[mqtt] client_key_file {} does not match the certificate in client_cert_file",
                path("other.key")
            ),
        ),
    ] {
        assert_eq!(attempt(&here, &lines).await, (Kind::InvalidFile, expected));
    }
}

#[tokio::test]
async fn a_tls_mismatch_is_detected() {
    let authority = Authority::new("Test authority");
    let Some(guarded) = guarded(&authority.sign(&["localhost"]), &authority, "") else { return };
    let Some(plain) = Broker::start() else { return };
    let to_guarded = format!("mqtt://localhost:{}", guarded.port());
    let expected =
        format!("{to_guarded} expects TLS: use mqtts:// in [mqtt] url, or the broker's port without TLS");
    assert_eq!(attempt(&to_guarded, "").await, (Kind::TlsExpected, expected));
    let to_plain = url(&plain, "localhost");
    let expected =
        format!("{to_plain} does not speak TLS: use mqtt:// in [mqtt] url, or the broker's TLS port");
    assert_eq!(attempt(&to_plain, &trusting(&guarded)).await, (Kind::PlainExpected, expected));
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    // No current broker can be limited to such an old version.
    let authority = Authority::new("Test authority");
    let papers = authority.sign(&["localhost"]);
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).unwrap();
    acceptor.clear_options(SslOptions::NO_TLSV1_1);
    acceptor.set_min_proto_version(Some(SslVersion::TLS1_1)).unwrap();
    acceptor.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap();
    acceptor.set_cipher_list("DEFAULT@SECLEVEL=0").unwrap();
    acceptor.set_certificate(&X509::from_pem(&papers.certificate).unwrap()).unwrap();
    acceptor.set_private_key(&PKey::private_key_from_pem(&papers.key).unwrap()).unwrap();
    let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("mqtts://localhost:{}", listener.local_addr().unwrap().port());
    let agreed = thread::spawn(move || {
        listener.incoming().flatten().take(2).any(|client| acceptor.accept(client).is_ok())
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.crt"), authority.certificate()).unwrap();
    let trusting = format!("ca_file = \"{}\"", folder.path().join("ca.crt").display());
    let expected = (
        Kind::Tls,
        "the broker does not support TLS 1.2 or newer: update the broker or its settings".to_owned(),
    );
    assert_eq!(attempt(&url, &trusting).await, expected);
    assert!(!agreed.join().unwrap());
}

#[tokio::test]
async fn a_hanging_tls_broker_is_detected() {
    let authority = Authority::new("Test authority");
    let papers = authority.sign(&["localhost"]);
    let Some(broker) = guarded(&papers, &authority, "") else { return };
    broker.hang();
    assert_eq!(attempt(&url(&broker, "localhost"), &trusting(&broker)).await.0, Kind::Timeout);
    broker.go_on();
    connected(&settings(&url(&broker, "localhost"), &trusting(&broker))).await;
}

#[test]
fn an_ipv6_address_with_tls_is_refused() {
    let refusal =
        MqttSession::new(&settings("mqtts://[::1]:8883", ""), mqtt::will(), MqttTimeouts::default())
            .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "TLS requires a host name or IPv4 address in [mqtt] url: the MQTT library can't verify a certificate \
         for an IPv6 address"
    );
}

#[test]
fn the_system_store_is_used_without_a_ca_file() {
    // The store is selected per process, so the test runs in its own.
    const STORE: &str = "SSL_CERT_FILE";
    const NAME: &str = "the_system_store_is_used_without_a_ca_file";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(url) = std::env::var_os("BANKWATCH_TEST_URL") {
        let url = url.to_str().unwrap();
        runtime.block_on(connected(&settings(url, "")));
        return;
    }
    let authority = Authority::new("Test authority");
    let Some(broker) = guarded(&authority.sign(&["localhost"]), &authority, "") else { return };
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    alone.args([NAME, "--exact"]).env(STORE, broker.folder().join("ca.crt"));
    let output = alone.env("BANKWATCH_TEST_URL", url(&broker, "localhost")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
