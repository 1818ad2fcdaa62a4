//! Checks `deploy/` and the Dockerfile, as far as that is possible without installing them.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn systemd_analyze_accepts_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("SKIPPED: systemd-analyze is not installed");
        return;
    }
    let folder = tempdir().unwrap();
    let unit = folder.path().join("bankwatch.service");
    // systemd-analyze checks that the program exists.
    fs::write(
        &unit,
        read("deploy/bankwatch.service").replace("/usr/local/bin/bankwatch", env!("CARGO_BIN_EXE_bankwatch")),
    )
    .unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let output = String::from_utf8([verified.stdout, verified.stderr].concat()).unwrap();
    let about_us: Vec<_> = output.lines().filter(|line| line.contains("bankwatch")).collect();
    assert!(about_us.is_empty() && verified.status.success(), "{output}");
}

#[test]
fn unit_restarts_except_after_invalid_configuration() {
    let unit = read("deploy/bankwatch.service");
    for line in [
        "Type=notify",
        "WatchdogSec=300",
        "Restart=always",
        "RestartPreventExitStatus=78",
        "StartLimitIntervalSec=0",
        "DynamicUser=yes",
        "SupplementaryGroups=dialout",
        "StateDirectory=bankwatch",
        "ProtectSystem=strict",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
    for ports in ["ttyUSB", "ttyACM", "ttyAMA", "ttyS"] {
        assert!(unit.contains(&format!("DeviceAllow=char-{ports} rw\n")), "{ports}");
    }
    assert!(!unit.contains("PrivateDevices"), "it would hide the ports");
}

#[test]
fn modem_manager_ignores_the_usual_adapters() {
    let rules = read("deploy/99-bankwatch.rules");
    let mut rules: Vec<_> = rules.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for vendor in ["0403", "067b", "10c4", "1a86"] {
        let about = rules.iter().position(|rule| rule.contains(&format!("ATTRS{{idVendor}}==\"{vendor}\"")));
        rules.remove(about.unwrap_or_else(|| panic!("no rule for {vendor}")));
    }
    assert!(rules.iter().all(|rule| rule.ends_with("ENV{ID_MM_DEVICE_IGNORE}=\"1\"")), "{rules:?}");
}

#[test]
fn image_runs_unprivileged_and_has_a_health_check() {
    let dockerfile = read("Dockerfile");
    let lines: Vec<_> = dockerfile.lines().collect();
    let of = |word: &str| lines.iter().filter(|line| line.starts_with(word)).copied().collect::<Vec<_>>();
    assert_eq!(of("FROM "), ["FROM ${BUILD_IMAGE} AS build", "FROM ${BASE_IMAGE}"]);
    assert_eq!((of("USER "), of("STOPSIGNAL ")), (vec!["USER bankwatch"], vec!["STOPSIGNAL SIGTERM"]));
    assert!(dockerfile.contains("--groups dialout"), "the port's group");
    assert!(of("HEALTHCHECK ")[0].ends_with("CMD [\"bankwatch\", \"healthcheck\"]"));
    assert_eq!(of("ENTRYPOINT "), ["ENTRYPOINT [\"bankwatch\"]"], "it is process 1 and receives the signal");
    // .dockerignore must admit what is copied.
    let ignored = read(".dockerignore");
    for copied in of("COPY ").iter().filter(|line| !line.contains("--from")) {
        let mut sources: Vec<_> = copied.split_whitespace().skip(1).collect();
        sources.pop();
        for source in sources {
            assert!(ignored.lines().any(|line| line == format!("!{source}")), "{source}");
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(source).exists(), "{source}");
        }
    }
}
