//! The MQTT client id.

use crate::settings::MqttSettings;

/// Every broker accepts 23 bytes; all known ones accept far more.
const MAX_LENGTH: usize = 128;

/// The limit of Linux.
const MAX_HOST_LENGTH: usize = 64;

/// Appended to the id of the service by `bankwatch ha`, which connects while the service is running.
const HA: &str = "-ha";

/// The client id from the settings, else `bankwatch-<hostname>-<hash of the banks>`: the same at each start, and unique
/// for each service, since no two services of a host poll the same banks.
#[must_use]
pub(crate) fn client_id(settings: &MqttSettings) -> String {
    let host = rustix::system::uname();
    let given = settings.client_id.given().map_or("", String::as_str);
    build_id(given, &host.nodename().to_string_lossy(), &settings.banks)
}

/// The client id of `bankwatch ha`. With the id of the service it would end the connection of the service.
#[must_use]
pub(crate) fn ha_client_id(settings: &MqttSettings) -> String {
    client_id(settings).chars().take(MAX_LENGTH - HA.len()).chain(HA.chars()).collect()
}

fn build_id(given: &str, host: &str, banks: &[String]) -> String {
    // An id from the settings is only stripped of characters that brokers reject.
    let chosen: String = given.chars().filter(|c| !c.is_control()).take(MAX_LENGTH).collect();
    if !chosen.is_empty() {
        return chosen;
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let host: String = host.chars().take(MAX_HOST_LENGTH).map(plain).collect();
    format!("bankwatch-{}-{:08x}", if host.is_empty() { "host" } else { &host }, hash(banks))
}

/// 32-bit FNV-1a over the sorted names, each followed by a line feed. It is part of topics, so it must never change:
/// not with the compiler, nor with the order of the banks in the settings.
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
        assert_eq!(build_id("", "cellar-pi.lan", &banks(&["pytes"])), "bankwatch-cellar-pi.lan-e4033ad8");
        assert_eq!(build_id("", "pi", &banks(&["barn", "attic"])), "bankwatch-pi-5e80da87");
    }

    #[test]
    fn the_id_depends_on_the_banks_but_not_on_their_order() {
        let id = |names: &[&str]| build_id("", "pi", &banks(names));
        assert_eq!(id(&["attic", "barn"]), id(&["barn", "attic"]));
        let all = [&[][..], &["pytes"], &["pytes1"], &["pytes", "pytes1"], &["pytespytes1"], &["Pytes"]];
        let ids: std::collections::BTreeSet<String> = all.map(id).into();
        assert_eq!(ids.len(), all.len(), "{ids:?}");
    }

    #[test]
    fn characters_that_brokers_may_reject_are_replaced() {
        let of_host = |host: &str| build_id("", host, &[]);
        assert_eq!(of_host("Jörg's/host\0"), "bankwatch-J-rg-s-host--811c9dc5");
        assert_eq!(of_host(""), "bankwatch-host-811c9dc5");
        assert_eq!(of_host(&"h".repeat(300)).len(), "bankwatch--811c9dc5".len() + MAX_HOST_LENGTH);
    }

    #[test]
    fn an_id_from_the_settings_is_kept() {
        assert_eq!(build_id("Batterie Süd/1", "pi", &[]), "Batterie Süd/1");
        assert_eq!(build_id("a\0b\n", "pi", &[]), "ab");
        assert_eq!(build_id("\u{1}", "pi", &[]), "bankwatch-pi-811c9dc5", "no character is left");
    }

    #[test]
    fn bankwatch_ha_never_uses_the_id_of_the_service() {
        for given in ["cellar", &"c".repeat(MAX_LENGTH), &"c".repeat(300)] {
            let settings = crate::settings::load(&crate::settings::Sources {
                overrides: vec![format!("mqtt.client_id={given}")],
                ..Default::default()
            });
            let settings = settings.unwrap().settings.mqtt;
            let (service, ha) = (client_id(&settings), ha_client_id(&settings));
            assert_ne!(service, ha);
            assert!(ha.ends_with(HA) && ha.len() <= MAX_LENGTH, "{ha}");
        }
    }
}
