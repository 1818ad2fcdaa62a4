//! Provokes every reason why a broker can't be used, and checks the error messages.

use std::net::TcpStream;
use std::time::Duration;

use bankwatch::internals::mqtt::client::error::MqttErrorKind as Kind;
use bankwatch::internals::mqtt::client::retained::fetch_retained;
use bankwatch::internals::mqtt::message::Message;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
use support::broker::{Broker, Setup, free_port, settings};
use support::listener::Listener;
use support::mqtt::{
    LONG, SHORT_TIMEOUTS, connect_error, connected, disconnect_error, reconnect, session, session_with,
};
use support::mqtt_scripted::{Scripted, WELCOME};
use tokio::time::timeout;

const VERSIONS: [&str; 2] = ["version = \"5\"", "version = \"3.1.1\""];

/// One attempt to connect: kind and text of the error.
async fn attempt(url: &str, lines: &str) -> (Kind, String) {
    let refusal = connect_error(&mut session_with(&settings(url, lines), SHORT_TIMEOUTS)).await;
    (refusal.kind, refusal.to_string())
}

#[tokio::test]
async fn connection_refused() {
    let url = format!("mqtt://127.0.0.1:{}", free_port("127.0.0.1"));
    let expected =
        format!("connection refused: nothing listens at {url}; is the broker running, and is that its port?");
    for version in VERSIONS {
        assert_eq!(attempt(&url, version).await, (Kind::ConnectionRefused, expected.clone()));
    }
}

#[tokio::test]
async fn unknown_host() {
    // Longer than a host name may be, so that no name server is queried.
    let host = "h".repeat(64);
    let (kind, sentence) = attempt(&format!("mqtt://{host}"), "").await;
    assert_eq!(kind, Kind::UnknownHost);
    assert!(sentence.starts_with(&format!("host name \"{host}\" can't be resolved (")), "{sentence}");
    assert!(sentence.ends_with("): check [mqtt] url and the DNS server"), "{sentence}");
}

#[tokio::test]
async fn unreachable_host() {
    // A link-local address without an interface: nothing is sent.
    let (kind, sentence) = attempt("mqtt://[fe80::1]", "").await;
    assert_eq!(kind, Kind::Unreachable);
    assert!(sentence.starts_with("fe80::1 is unreachable ("), "{sentence}");
    assert!(sentence.ends_with("): check the address in [mqtt] url and the network"), "{sentence}");
}

#[tokio::test]
async fn host_without_an_answer() {
    // A full accept queue: the system does not answer further connections.
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&listener, 0).unwrap();
    let address = std::net::SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    assert_eq!(
        attempt(&format!("mqtt://{address}"), "").await,
        (
            Kind::Unreachable,
            "127.0.0.1 does not answer within 1s: check the address in [mqtt] url, the network and the firewall"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn hanging_broker() {
    let Some(broker) = Broker::start() else { return };
    broker.hang();
    let mut session = session_with(&broker.settings(""), SHORT_TIMEOUTS);
    let refusal = connect_error(&mut session).await;
    let url = broker.url();
    let expected = format!("the broker at {url} did not answer within 1s: it hangs, or the network is down");
    assert_eq!((refusal.kind, refusal.to_string()), (Kind::Timeout, expected));
    broker.go_on();
    reconnect(&mut session).await;
    session.publish(vec![Message::transient("a", "")]).await.unwrap();
}

#[tokio::test]
async fn wrong_or_missing_credentials() {
    let Some(broker) = Setup::default().user("house", "right").start() else { return };
    let no_user = "the broker requires a username and password: set [mqtt] username and password";
    let wrong = "the broker rejects user \"house\" with this password: check [mqtt] username and password";
    let none = "the broker rejects user \"house\" without a password: check [mqtt] username and password";
    for version in VERSIONS {
        for (lines, expected) in [
            ("", no_user),
            ("username = \"house\"\npassword = \"wrong\"", wrong),
            ("username = \"house\"", none),
        ] {
            let outcome = attempt(&broker.url(), &format!("{version}\n{lines}")).await;
            assert_eq!(outcome, (Kind::Credentials, expected.to_owned()));
        }
        connected(&broker.settings(&format!("{version}\nusername = \"house\"\npassword = \"right\""))).await;
    }
}

#[tokio::test]
async fn reason_codes_of_a_rejected_connection() {
    let id = "client_id = \"cellar\"";
    let cases: [(&str, &'static [u8], Kind, &str); 7] = [
        (
            VERSIONS[0],
            b"\x20\x03\x00\x85\x00",
            Kind::ClientId,
            "the broker rejects the client id \"cellar\": set another one in [mqtt] client_id",
        ),
        (
            VERSIONS[1],
            b"\x20\x02\x00\x02",
            Kind::ClientId,
            "the broker rejects the client id \"cellar\": set another one in [mqtt] client_id",
        ),
        (
            VERSIONS[0],
            b"\x20\x03\x00\x8a\x00",
            Kind::Banned,
            "the broker has banned this client: its administrator can lift the ban",
        ),
        (
            VERSIONS[0],
            b"\x20\x03\x00\x97\x00",
            Kind::RateLimited,
            "the broker is rate-limiting this client (Quota exceeded): raise its limits or [mqtt] publish_interval",
        ),
        (
            VERSIONS[1],
            b"\x20\x02\x00\x03",
            Kind::Unavailable,
            "the broker is unavailable (Server unavailable): see its log",
        ),
        (
            VERSIONS[0],
            b"\x20\x03\x00\x84\x00",
            Kind::UnsupportedVersion,
            "the broker does not support MQTT 5: set [mqtt] version = \"3.1.1\"",
        ),
        (
            VERSIONS[1],
            b"\x20\x02\x00\x01",
            Kind::UnsupportedVersion,
            "the broker does not support MQTT 3.1.1: set [mqtt] version = \"5\"",
        ),
    ];
    for (version, words, kind, sentence) in cases {
        let scripted = Scripted::send_and_close(words);
        let outcome = attempt(&scripted.url(), &format!("{version}\n{id}")).await;
        assert_eq!(outcome, (kind, sentence.to_owned()), "{}", words.escape_ascii());
    }
}

#[tokio::test]
async fn broker_without_mqtt_5() {
    let expected = (
        Kind::UnsupportedVersion,
        "the broker does not support MQTT 5: set [mqtt] version = \"3.1.1\"".to_owned(),
    );
    // Some answer with an MQTT 3.1.1 code, some just close the connection.
    let old: fn(&[u8]) -> Option<&'static [u8]> =
        |received| Some(if received[8] == 5 { b"\x20\x02\x00\x01" } else { b"\x20\x02\x00\x00" });
    let older: fn(&[u8]) -> Option<&'static [u8]> =
        |received| (received[8] != 5).then_some(b"\x20\x02\x00\x00");
    for answer in [old, older] {
        assert_eq!(attempt(&Scripted::answer_and_close(answer).url(), "").await, expected);
    }
}

#[tokio::test]
async fn peer_is_not_a_broker() {
    let web = Scripted::send_and_close(b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[31mnice\r\n\r\n");
    assert_eq!(
        attempt(&web.url(), "").await,
        (
            Kind::NotABroker,
            format!(
                "{} is not an MQTT broker: it answered \"HTTP/1.1 400 Bad Request\\r\\nServer: \\x1b[31mn\"; \
                 check host and port in [mqtt] url",
                web.url()
            )
        )
    );
    let closing = Scripted::send_and_close(b"");
    assert_eq!(
        attempt(&closing.url(), "").await,
        (
            Kind::NotABroker,
            format!(
                "{} closes the connection without an answer: is it an MQTT broker, and does it accept one more \
                 client? See its log",
                closing.url()
            )
        )
    );
}

#[tokio::test]
async fn reason_codes_of_a_closed_connection() {
    const AFTER: [(u8, Kind, &str); 3] = [
        (
            0x8E,
            Kind::TakenOver,
            "session taken over: another client uses the id \"cellar\"; set a unique [mqtt] client_id",
        ),
        (0x8B, Kind::Unavailable, "the broker is unavailable (Server shutting down): see its log"),
        (0x98, Kind::ConnectionLost, "the broker closed the connection (Administrative action): see its log"),
    ];
    for (code, kind, sentence) in AFTER {
        let words: &'static [u8] = [WELCOME, &[0xE0, 0x02, code, 0x00]].concat().leak();
        let scripted = Scripted::send_and_close(words);
        let mut session = connected(&settings(&scripted.url(), "client_id = \"cellar\"")).await;
        let refusal = disconnect_error(&mut session).await;
        assert_eq!((refusal.kind, refusal.to_string()), (kind, sentence.to_owned()));
    }
}

#[tokio::test]
async fn a_forbidden_topic_does_not_affect_others() {
    let access = "topic readwrite ours/#\n";
    let Some(broker) = Setup::default().file("access", access).settings("acl_file {folder}/access").start()
    else {
        return;
    };
    let mut listener = Listener::at(&broker.settings(""), "#").await;
    for version in VERSIONS {
        let session = connected(&broker.settings(version)).await;
        let sent = ["ours/a", "theirs", "ours/b"].map(|topic| Message::transient(topic, ""));
        let denied: Vec<String> =
            session.publish(sent.to_vec()).await.unwrap().iter().map(ToString::to_string).collect();
        // Before MQTT 5 the broker does not report it.
        let expected = "the broker denies publishing to \"theirs\": allow it in its access list";
        assert_eq!(denied, if version.contains('5') { vec![expected] } else { vec![] }, "{version}");
        assert_eq!(session.publish(sent.into()).await.unwrap(), [], "requested once per connection");
        assert!(session.is_connected());
        let received: Vec<String> =
            listener.receive(4).await.into_iter().map(|received| received.topic).collect();
        assert_eq!(received, ["ours/a", "ours/b", "ours/a", "ours/b"]);
    }
}

#[tokio::test]
async fn a_message_beyond_an_unannounced_limit_is_found_and_skipped() {
    let Some(broker) = Setup::default().settings("max_packet_size 3000").start() else { return };
    let mut listener = Listener::at(&broker.settings(""), "#").await;
    let mut session = session(&broker.settings("version = \"3.1.1\""));
    let sent = || {
        [("a", 10), ("b", 5_000), ("c", 10)]
            .map(|(topic, bytes)| Message::transient(topic, vec![b'x'; bytes]))
    };
    let mut messages = Vec::new();
    let refused = loop {
        session.connect().await.unwrap();
        match session.publish(sent().into()).await {
            Ok(refused) => break refused,
            Err(refusal) => messages.push(refusal.to_string()),
        }
        assert!(messages.len() < 6, "{messages:#?}");
    };
    assert_eq!(messages.len(), 4, "{messages:#?}");
    assert!(messages[1].contains("probably larger than the broker's packet size limit"), "{messages:#?}");
    let [refusal] = &refused[..] else { panic!("{refused:?}") };
    assert!(refusal.to_string().contains("\"b\" of 5011 bytes"), "{refusal}");
    assert!(refusal.to_string().contains("skipped until the next start"), "{refusal}");
    listener.until(|received| received.last().is_some_and(|last| last.topic == "c")).await;
    assert_eq!(session.publish(sent().into()).await.unwrap().len(), 1);
    assert!(session.is_connected());
}

#[tokio::test]
async fn too_many_retained_messages_do_not_stop_publishing() {
    let Some(broker) = Setup::default().settings("max_queued_messages 0").start() else { return };
    let mut session = connected(&broker.settings("")).await;
    let hostile = (0..16_400).map(|n| Message::retained(format!("found/{n}"), "x")).collect();
    session.publish(hostile).await.unwrap();
    let filters = ["found/+".to_owned(), "other/#".to_owned()];
    let refusal = timeout(LONG, fetch_retained(&mut session, &filters, "echo")).await.unwrap().unwrap_err();
    assert_eq!(refusal.kind, Kind::InboxOverflow, "{refusal}");
    assert!(refusal.to_string().contains("more than 16384 messages"), "{refusal}");
    assert!(session.is_connected());
    session.publish(vec![Message::transient("a", "")]).await.unwrap();
    assert_eq!(fetch_retained(&mut session, &filters[1..], "echo").await.unwrap(), []);
}

#[tokio::test]
async fn a_takeover_while_publishing_is_reported() {
    let Some(broker) = Broker::start() else { return };
    let settings = broker.settings("client_id = \"cellar\"");
    let (mut first, mut second) = (session(&settings), session(&settings));
    // Not every broker sends the reason; then short connections reveal it.
    for _ in 0..4 {
        first.connect().await.unwrap();
        let publish = async {
            loop {
                if let Err(refusal) = first.publish(vec![Message::transient("a", "x")]).await {
                    return refusal;
                }
            }
        };
        let (refusal, connected) = tokio::join!(publish, second.connect());
        connected.unwrap();
        if refusal.kind == Kind::TakenOver {
            assert!(refusal.to_string().starts_with("session taken over"), "{refusal}");
            assert!(refusal.to_string().contains("another client uses the id \"cellar\""), "{refusal}");
            return;
        }
    }
    panic!("the takeover was not detected");
}

#[tokio::test]
async fn forbidden_subscription() {
    let Some(plugin) = find_plugin() else { return };
    let access = r#"{"defaultACLAccess": {"subscribe": false, "publishClientReceive": true, "unsubscribe": true,
        "publishClientSend": true}, "clients": [], "groups": [{"groupname": "any", "roles": [{"rolename": "some"}]}],
        "roles": [{"rolename": "some", "acls": [{"acltype": "subscribePattern", "topic": "ours/#", "allow": true}]}],
        "anonymousGroup": "any"}"#;
    let lines = format!("plugin {plugin}\nplugin_opt_config_file {{folder}}/access.json");
    let Some(broker) = Setup::default().file("access.json", access).settings(&lines).start() else { return };
    for version in VERSIONS {
        let session = connected(&broker.settings(version)).await;
        session.subscribe(&["ours/+/config".to_owned()]).await.unwrap();
        let refusal = session.subscribe(&["ours/a".to_owned(), "theirs/#".to_owned()]).await.unwrap_err();
        let expected = "the broker denies subscribing to \"theirs/#\": allow it in its access list";
        assert_eq!(
            (refusal.kind, refusal.to_string()),
            (Kind::NotAuthorized, expected.to_owned()),
            "{version}"
        );
        assert!(session.is_connected());
    }
}

/// The part of Mosquitto that can deny subscriptions.
fn find_plugin() -> Option<String> {
    let libraries = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let plugins = libraries.map(|folder| folder.join("mosquitto_dynamic_security.so"));
    let found = plugins.into_iter().find(|plugin| plugin.exists());
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "mosquitto's dynamic security plugin is not installed"
    );
    found.map(|plugin| plugin.display().to_string())
}

#[tokio::test]
async fn message_beyond_the_announced_limit() {
    let Some(broker) = Setup::default().settings("max_packet_size 1000").start() else { return };
    let session = connected(&broker.settings("")).await;
    let large = |bytes| vec![Message::transient("a", vec![b'x'; bytes])];
    session.publish(large(900)).await.unwrap();
    let refused = session.publish(large(2000)).await.unwrap();
    let [refusal] = &refused[..] else { panic!("{refused:?}") };
    let expected =
        "the message to \"a\" exceeds the broker's packet size limit (2011 of 1000 bytes): raise the limit";
    assert_eq!((refusal.kind, refusal.to_string()), (Kind::TooLarge, expected.to_owned()));
    session.publish(large(900)).await.unwrap();
}

#[tokio::test]
async fn missing_acknowledgement() {
    let scripted = Scripted::send_and_keep_open(WELCOME);
    let mut session = session_with(&settings(&scripted.url(), ""), SHORT_TIMEOUTS);
    session.connect().await.unwrap();
    let publish = session.publish(vec![Message::transient("a", "")]);
    let refusal = timeout(LONG, publish).await.unwrap().unwrap_err();
    assert_eq!(refusal.kind, Kind::Timeout);
    assert_eq!(disconnect_error(&mut session).await, refusal);
    assert_eq!(scripted.kept(), 1);
    drop(session);
}

#[tokio::test]
async fn ipv6_broker_works() {
    let Some(broker) = Setup::default().at("::1").start() else { return };
    let session = connected(&broker.settings("")).await;
    session.publish(vec![Message::transient("a", "")]).await.unwrap();
    let by_name = format!("mqtt://localhost:{}", broker.port());
    // The library prefers the IPv4 address of a name, and so does the diagnosis.
    assert_eq!(attempt(&by_name, "").await.0, Kind::ConnectionRefused);
}
