//! Decides whether `/data` is a volume for this service. Other systems, such as Venus OS or machines with a data disk,
//! have a folder of that name as well, which must be left alone.

use std::env;
use std::path::{Path, PathBuf};

use crate::settings::lookup;
use crate::settings::lookup::NamedSetting;

const VOLUME: &str = "/data";

/// Files that container engines leave in every container: Docker, Podman.
const CONTAINER_MARKS: &[&str] = &["/.dockerenv", "/run/.containerenv"];

/// Variables that are set inside containers: by Podman, LXC and systemd-nspawn; by Kubernetes; by the Home Assistant
/// Supervisor.
const CONTAINER_VARIABLES: &[&str] = &["container", "KUBERNETES_SERVICE_HOST", "SUPERVISOR_TOKEN"];

/// The suffix of each bank's ledger file.
const LEDGER: &str = "_ledger.json";

/// `/data`, if it is meant for this service.
pub(crate) fn detect() -> Option<PathBuf> {
    let in_container = CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists())
        || CONTAINER_VARIABLES.iter().any(|name| env::var_os(name).is_some());
    is_ours(Path::new(VOLUME), in_container).then(|| VOLUME.into())
}

/// In a container a volume is ours; elsewhere only if it contains the options of a Home Assistant app or files of this
/// service.
fn is_ours(volume: &Path, in_container: bool) -> bool {
    if !volume.is_dir() {
        return false;
    }
    let holds = |name: &str| volume.join(name).is_file();
    in_container || holds("options.json") || default_files().any(holds) || has_ledger(volume)
}

/// The default file names of the database and the journal.
fn default_files() -> impl Iterator<Item = &'static str> {
    [("database", "url"), ("database", "journal")].into_iter().filter_map(|(section, name)| {
        match lookup::find(section, name)? {
            NamedSetting::Value(key) => Some(key.default.trim_start_matches("sqlite:")),
            NamedSetting::SecretFile(_) => None,
        }
    })
}

fn has_ledger(volume: &Path) -> bool {
    let Ok(files) = volume.read_dir() else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().ends_with(LEDGER))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_data_folder_outside_a_container_is_used_only_with_our_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = folder.path();
        fs::write(volume.join("settings.xml"), "of another program").expect("a file");
        assert!(!is_ours(volume, false));
        assert!(is_ours(volume, true));
        assert!(!is_ours(&volume.join("missing"), true));
        for ours in ["options.json", "bankwatch.db", "journal.db", "house_ledger.json"] {
            fs::write(volume.join(ours), "").expect("a file");
            assert!(is_ours(volume, false), "{ours}");
            fs::remove_file(volume.join(ours)).expect("it goes");
        }
    }
}
