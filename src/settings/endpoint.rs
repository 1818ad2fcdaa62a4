//! Where things are: links to consoles, URLs of brokers and databases.

use std::{
    fmt,
    net::Ipv6Addr,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de::Error};

use crate::settings::value::resolve_in;

/// Why a text is no endpoint. What would be one, the setting's row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address of a known kind")]
pub struct InvalidEndpoint;

/// The scheme of a link that plays a file.
const REPLAY: &str = "replay:";

/// Whether a text names a link: `/dev/…`, `COMn`, `tcp://host:port`, `rfc2217://host:port`, `replay:FILE`.
pub(crate) fn is_link(text: &str) -> bool {
    if let Some(file) = text.strip_prefix(REPLAY) {
        return !file.is_empty();
    }
    if let Some(address) = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("rfc2217://")) {
        return host_and_port(address, None).is_some();
    }
    if let Some(number) = text.strip_prefix("COM") {
        return number.parse::<u8>().is_ok_and(|number| number > 0);
    }
    text.len() > 1 && text.starts_with('/') && !text.contains('\0')
}

/// The link with a relative file to replay lying in `folder`.
pub(crate) fn resolve_link(link: &str, folder: &Path) -> String {
    match link.strip_prefix(REPLAY) {
        Some(file) => format!("{REPLAY}{}", resolve_in(folder, file).display()),
        None => link.to_owned(),
    }
}

/// Splits `host:port`, `[::1]:port`, and where a default port is given also `host`.
fn host_and_port(text: &str, default_port: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, digits)) if !digits.contains(']') => (host, port(digits)?),
        _ => (text, default_port?),
    };
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok().then(|| (address.to_owned(), port));
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!host.is_empty() && host.chars().all(plain)).then(|| (host.to_owned(), port))
}

/// A port is written in digits alone (`+80` would parse as a number), and is not 0.
fn port(digits: &str) -> Option<u16> {
    let written = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| written && *port > 0)
}

/// Where a broker is: `mqtt://host:port` or `mqtts://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttUrl {
    /// Whether the way there is encrypted.
    pub tls: bool,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// 1883, or 8883 with TLS, where none is written.
    pub port: u16,
}

impl FromStr for MqttUrl {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidEndpoint)?;
        let (tls, default_port) = match scheme {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(InvalidEndpoint),
        };
        let address = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = host_and_port(address, Some(default_port)).ok_or(InvalidEndpoint)?;
        Ok(Self { tls, host, port })
    }
}

impl fmt::Display for MqttUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", Bracketed(&self.host), self.port)
    }
}

/// Which database: `sqlite:FILE` or `mysql://user@host:port/database`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file of our own.
    Sqlite(PathBuf),
    /// A MariaDB or MySQL server. Its password is a setting of its own.
    Mysql {
        /// Empty where none is written.
        user: String,
        /// Name or address, IPv6 without brackets.
        host: String,
        /// 3306 where none is written.
        port: u16,
        /// The database on it.
        database: String,
    },
}

impl DatabaseUrl {
    /// The same with a relative file lying in `folder`.
    #[must_use]
    pub(crate) fn resolve_in(self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(file) => Self::Sqlite(resolve_in(folder, file)),
            server @ Self::Mysql { .. } => server,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if let Some(file) = text.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            let is_file = !file.is_empty() && !file.contains('\0') && file != ":memory:";
            return is_file.then(|| Self::Sqlite(file.into())).ok_or(InvalidEndpoint);
        }
        let server = || {
            let rest = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://"))?;
            let (authority, database) = rest.split_once('/')?;
            let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
            let (host, port) = host_and_port(address, Some(3306))?;
            let (user, database) = (percent_decode(user)?, percent_decode(database)?);
            (!database.is_empty()).then_some(Self::Mysql { user, host, port, database })
        };
        server().ok_or(InvalidEndpoint)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Self::Mysql { user, host, port, database } => {
                let (user, database) = (percent_encode(user), percent_encode(database));
                let at = if user.is_empty() { "" } else { "@" };
                write!(f, "mysql://{user}{at}{}:{port}/{database}", Bracketed(host))
            }
        }
    }
}

/// An IPv6 address needs brackets before a port.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

/// Writes all but letters, digits and `-._~` as `%XX`.
#[must_use]
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Undoes `%XX`; none where it is malformed, or where a character stands bare that belongs elsewhere in a
/// URL (a `:` would begin a password).
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?].map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else { return None };
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            b':' | b'/' | b'?' | b'#' | b'@' | 0..=b' ' => return None,
            plain => bytes.push(plain),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Deserializes both URLs from their text.
macro_rules! from_text {
    ($($url:ty),+) => {$(
        impl<'de> Deserialize<'de> for $url {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

from_text!(MqttUrl, DatabaseUrl);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_known_by_their_form() {
        for link in ["/dev/ttyUSB0", "COM3", "tcp://bridge:4001", "rfc2217://[::1]:23", "replay:a b.cap"] {
            assert!(is_link(link), "{link}");
        }
        for text in [
            "",
            "/",
            "COM",
            "COM0",
            "dev/ttyUSB0",
            "tcp://bridge",
            "tcp://:1",
            "tcp://b:0",
            "tcp://b:+1",
            "tcp://a b:1",
        ] {
            assert!(!is_link(text), "{text}");
        }
    }

    #[test]
    fn urls_are_written_as_they_are_read() {
        for url in ["mqtt://broker:1883", "mqtts://[fe80::1]:8883", "mqtt://10.0.0.1:1"] {
            assert_eq!(url.parse::<MqttUrl>().map(|url| url.to_string()), Ok(url.to_owned()));
        }
        for url in
            ["sqlite:a.db", "sqlite:/var/a b.db", "mysql://h:3306/d", "mysql://p%40y%20t@[::1]:1/d%2Fe"]
        {
            assert_eq!(url.parse::<DatabaseUrl>().map(|url| url.to_string()), Ok(url.to_owned()));
        }
    }

    #[test]
    fn ports_have_defaults() {
        assert_eq!("mqtt://b/".parse::<MqttUrl>().map(|url| url.port), Ok(1883));
        assert_eq!("mqtts://[::1]".parse::<MqttUrl>().map(|url| url.port), Ok(8883));
        assert_eq!("mariadb://b/d".parse::<DatabaseUrl>(), "mysql://b:3306/d".parse());
    }

    #[test]
    fn a_password_has_no_place_in_a_url() {
        assert_eq!("mqtt://me:secret@broker".parse::<MqttUrl>(), Err(InvalidEndpoint));
        assert_eq!("mysql://me:secret@server/d".parse::<DatabaseUrl>(), Err(InvalidEndpoint));
    }

    #[test]
    fn malformed_urls_are_refused() {
        for url in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "mysql://h",
            "mysql://h/",
            "mysql://h/a%2",
            "mysql://h/a%+1",
            "mysql://h/%FF",
        ] {
            assert_eq!(url.parse::<DatabaseUrl>(), Err(InvalidEndpoint), "{url}");
        }
    }
}
