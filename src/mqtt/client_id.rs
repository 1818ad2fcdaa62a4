//! The name under which the broker knows us.

use crate::settings::MqttSettings;

/// What every broker takes is 23 bytes; all known ones take far more. A host's name has up to 64.
const LONGEST: usize = 128;

/// The settings' client id, else `bankwatch-<hostname>`: the same at each start, another on each host.
#[must_use]
pub fn client_id(settings: &MqttSettings) -> String {
    let host = rustix::system::uname();
    named(settings.client_id.given().map(String::as_str), &host.nodename().to_string_lossy())
}

fn named(given: Option<&str>, host: &str) -> String {
    match given {
        // What somebody chose is kept as it is, but for what no broker takes.
        Some(name) => name.chars().filter(|c| !c.is_control()).take(LONGEST).collect(),
        None => {
            let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
            let host: String = host.chars().take(LONGEST).map(plain).collect();
            format!("bankwatch-{}", if host.is_empty() { "host" } else { &host })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_name_makes_it_unique_and_stable() {
        assert_eq!(named(None, "cellar-pi.lan"), "bankwatch-cellar-pi.lan");
    }

    #[test]
    fn what_a_broker_might_refuse_is_replaced() {
        assert_eq!(named(None, "Jörg's/host\0"), "bankwatch-J-rg-s-host-");
        assert_eq!(named(None, ""), "bankwatch-host");
        assert_eq!(named(None, &"h".repeat(300)).len(), "bankwatch-".len() + LONGEST);
    }

    #[test]
    fn a_chosen_name_is_kept() {
        assert_eq!(named(Some("Batterie Süd/1"), "pi"), "Batterie Süd/1");
        assert_eq!(named(Some("a\0b\n"), "pi"), "ab");
    }
}
