//! Decides whether `/data` is a volume made for this service. Other systems have a folder of that name too: Venus OS,
//! machines with a data disk. Files of ours have no place there.

use std::env;
use std::path::{Path, PathBuf};

use crate::settings::lookup;
use crate::settings::lookup::Named;

/// Where a container's volume is mounted.
const VOLUME: &str = "/data";

/// Files that container engines leave in every container: Docker, Podman.
const CONTAINER_MARKS: &[&str] = &["/.dockerenv", "/run/.containerenv"];

/// Variables that are set inside containers: by Podman, LXC and systemd-nspawn; by Kubernetes; by the Home Assistant
/// Supervisor.
const CONTAINER_VARIABLES: &[&str] = &["container", "KUBERNETES_SERVICE_HOST", "SUPERVISOR_TOKEN"];

/// The end of the name of every bank's ledger.
const LEDGER: &str = "_ledger.json";

/// `/data`, where it is meant for this service.
pub(crate) fn of_this_machine() -> Option<PathBuf> {
    let in_container = CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists())
        || CONTAINER_VARIABLES.iter().any(|name| env::var_os(name).is_some());
    belongs_to_us(Path::new(VOLUME), in_container).then(|| VOLUME.into())
}

/// A volume is ours in a container, and elsewhere where it holds a Home Assistant app's options or files of this
/// service.
fn belongs_to_us(volume: &Path, in_container: bool) -> bool {
    if !volume.is_dir() {
        return false;
    }
    let holds = |name: &str| volume.join(name).is_file();
    in_container || holds("options.json") || default_files().any(holds) || has_ledger(volume)
}

/// The names that database and journal have by default.
fn default_files() -> impl Iterator<Item = &'static str> {
    [("database", "url"), ("database", "journal")].into_iter().filter_map(|(section, name)| {
        match lookup::find(section, name)? {
            Named::Value(key) => Some(key.default.trim_start_matches("sqlite:")),
            Named::SecretFile(_) => None,
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
    fn a_data_folder_outside_of_a_container_is_left_alone_unless_it_holds_our_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = folder.path();
        fs::write(volume.join("settings.xml"), "of another program").expect("a file");
        assert!(!belongs_to_us(volume, false));
        assert!(belongs_to_us(volume, true));
        assert!(!belongs_to_us(&volume.join("missing"), true));
        for ours in ["options.json", "bankwatch.db", "journal.db", "house_ledger.json"] {
            fs::write(volume.join(ours), "").expect("a file");
            assert!(belongs_to_us(volume, false), "{ours}");
            fs::remove_file(volume.join(ours)).expect("it goes");
        }
    }
}
