//! The name under which the broker knows us.

use crate::settings::MqttSettings;

/// What every broker takes is 23 bytes; all known ones take far more.
const LONGEST: usize = 128;

/// A host's name has no more on Linux.
const LONGEST_HOST: usize = 64;

/// Set behind the service's id by `bankwatch ha`, which connects while the service is running.
const HA: &str = "-ha";

/// The settings' client id, else `bankwatch-<hostname>-<hash of the banks>`: the same at each start, another on each
/// host, and another for each service of a host, since no two services read the same banks.
#[must_use]
pub(crate) fn client_id(settings: &MqttSettings) -> String {
    let host = rustix::system::uname();
    let given = settings.client_id.given().map_or("", String::as_str);
    named(given, &host.nodename().to_string_lossy(), &settings.banks)
}

/// The client id of `bankwatch ha`: with the service's own it would end the service's connection.
#[must_use]
pub(crate) fn ha_client_id(settings: &MqttSettings) -> String {
    client_id(settings).chars().take(LONGEST - HA.len()).chain(HA.chars()).collect()
}

fn named(given: &str, host: &str, banks: &[String]) -> String {
    // What somebody chose is kept as it is, except for what no broker takes.
    let chosen: String = given.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if !chosen.is_empty() {
        return chosen;
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let host: String = host.chars().take(LONGEST_HOST).map(plain).collect();
    format!("bankwatch-{}-{:08x}", if host.is_empty() { "host" } else { &host }, hash(banks))
}

/// 32-bit FNV-1a over the sorted names, each with a line feed behind it. It is part of topics, so it must never
/// change: not with the compiler, nor with the order of the banks in the settings.
fn hash(banks: &[String]) -> u32 {
    let mut names: Vec<&str> = banks.iter().map(String::as_str).collect();
    names.sort_unstable();
    let bytes = names.iter().flat_map(|name| name.bytes().chain([b'\n']));
    bytes.fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banks(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_id_of_a_host_and_its_banks_never_changes() {
        assert_eq!(named("", "cellar-pi.lan", &banks(&["pytes"])), "bankwatch-cellar-pi.lan-e4033ad8");
        assert_eq!(named("", "pi", &banks(&["barn", "attic"])), "bankwatch-pi-5e80da87");
    }

    #[test]
    fn other_banks_are_another_id_and_their_order_is_not() {
        let id = |names: &[&str]| named("", "pi", &banks(names));
        assert_eq!(id(&["attic", "barn"]), id(&["barn", "attic"]));
        let all = [&[][..], &["pytes"], &["pytes1"], &["pytes", "pytes1"], &["pytespytes1"], &["Pytes"]];
        let ids: std::collections::BTreeSet<String> = all.map(id).into();
        assert_eq!(ids.len(), all.len(), "{ids:?}");
    }

    #[test]
    fn what_a_broker_might_refuse_is_replaced() {
        let of_host = |host: &str| named("", host, &[]);
        assert_eq!(of_host("Jörg's/host\0"), "bankwatch-J-rg-s-host--811c9dc5");
        assert_eq!(of_host(""), "bankwatch-host-811c9dc5");
        assert_eq!(of_host(&"h".repeat(300)).len(), "bankwatch--811c9dc5".len() + LONGEST_HOST);
    }

    #[test]
    fn a_chosen_name_is_kept() {
        assert_eq!(named("Batterie Süd/1", "pi", &[]), "Batterie Süd/1");
        assert_eq!(named("a\0b\n", "pi", &[]), "ab");
        assert_eq!(named("\u{1}", "pi", &[]), "bankwatch-pi-811c9dc5", "nothing is left of it");
    }

    #[test]
    fn the_verb_never_has_the_id_of_the_service() {
        for given in ["cellar", &"c".repeat(LONGEST), &"c".repeat(300)] {
            let settings = crate::settings::load(&crate::settings::Sources {
                overrides: vec![format!("mqtt.client_id={given}")],
                ..Default::default()
            });
            let settings = settings.unwrap().settings.mqtt;
            let (service, verb) = (client_id(&settings), ha_client_id(&settings));
            assert_ne!(service, verb);
            assert!(verb.ends_with(HA) && verb.len() <= LONGEST, "{verb}");
        }
    }
}
