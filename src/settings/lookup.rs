//! Looks up a setting by its name, and finds the nearest known name for a misspelt one.

use crate::settings::key::{BANK, FILE_SUFFIX, SettingDef, SettingPath};
use crate::settings::sections::SECTIONS;

#[derive(Clone, Copy, Debug)]
pub(crate) enum NamedSetting {
    Value(&'static SettingDef),
    /// The secret that is stored in the named file: `password_file`.
    SecretFile(&'static SettingDef),
}

/// The definitions of a section's settings.
#[must_use]
pub(crate) fn section(name: &str) -> Option<&'static [SettingDef]> {
    SECTIONS.iter().copied().find(|keys| keys.first().is_some_and(|key| key.section == name))
}

#[must_use]
pub(crate) fn find(section_name: &str, name: &str) -> Option<NamedSetting> {
    let keys = section(section_name)?;
    if let Some(key) = keys.iter().find(|key| key.name == name) {
        return Some(NamedSetting::Value(key));
    }
    let secret = name.strip_suffix(FILE_SUFFIX)?;
    keys.iter().find(|key| key.name == secret && key.kind.is_secret()).map(NamedSetting::SecretFile)
}

/// Finds a setting by the parts of its dotted name: `mqtt`, `url`; `bank`, `link` (the first bank); `bank`, `2`,
/// `link`.
#[must_use]
pub(crate) fn locate(path: &[&str]) -> Option<(NamedSetting, Option<usize>)> {
    match *path {
        [name] => Some((find("", name)?, None)),
        [BANK, name] => Some((find(BANK, name)?, Some(1))),
        [BANK, number, name] => {
            let number = number.parse().ok().filter(|number| *number > 0)?;
            Some((find(BANK, name)?, Some(number)))
        }
        [section, name] if !section.is_empty() => Some((find(section, name)?, None)),
        _ => None,
    }
}

/// The nearest known name for the parts of a dotted name.
#[must_use]
pub(crate) fn nearest_path(path: &[&str]) -> Option<String> {
    match *path {
        [name] => nearest("", name),
        [first, .., name] if section(first).is_some() => nearest(first, name),
        [first, ..] => nearest("", first),
        [] => None,
    }
}

/// The nearest known name for a misspelt one: a similar name in its section, else the same name in another section.
#[must_use]
pub(crate) fn nearest(section_name: &str, name: &str) -> Option<String> {
    let dotted = |key: &'static SettingDef| SettingPath { key, bank: None }.to_string();
    let keys = section(section_name).unwrap_or_default();
    let sections = SECTIONS.iter().filter_map(|keys| keys.first()).map(|key| key.section);
    closest(keys.iter().map(|key| key.name), name)
        .and_then(|near| keys.iter().find(|key| key.name == near))
        .map(dotted)
        .or_else(|| closest(sections.filter(|_| section_name.is_empty()), name).map(str::to_owned))
        .or_else(|| SECTIONS.iter().copied().flatten().find(|key| key.name == name).map(dotted))
}

/// The candidate with the fewest edits, if it is similar enough to be a typo.
fn closest<'a>(candidates: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(candidate, name), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_suggests_a_similar_key_and_a_stray_key_its_section() {
        for (section, name, near) in [
            ("mqtt", "pasword", Some("mqtt.password")),
            ("bank", "summary_intervall", Some("bank.summary_interval")),
            ("", "htttp", Some("http")),
            ("", "data_dri", Some("data_dir")),
            ("", "link", Some("bank.link")),
            ("http", "discovery", Some("mqtt.discovery")),
            ("mqtt", "colour", None),
        ] {
            assert_eq!(nearest(section, name).as_deref(), near, "{section}.{name}");
        }
    }

    #[test]
    fn only_secrets_have_a_file_key() {
        assert!(
            matches!(find("mqtt", "password_file"), Some(NamedSetting::SecretFile(key)) if key.name == "password")
        );
        assert!(matches!(find("mqtt", "ca_file"), Some(NamedSetting::Value(_))));
        assert!(find("mqtt", "username_file").is_none());
    }

    #[test]
    fn all_keys_of_a_table_have_the_same_section() {
        for keys in SECTIONS {
            assert!(keys.iter().all(|key| key.section == keys[0].section));
        }
    }
}
