//! Checks whether `pwr_data`, the table of pytes_serial, accepts our rows, for commands outside the service. The
//! deadline is short: a server that is down is reported elsewhere.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::outage::HumanDuration;
use crate::settings::DatabaseSettings;
use crate::store::{LegacyReport, StoreError, check_legacy_table, server};

/// For an interactive command.
const CHECK: Duration = Duration::from_secs(2);
/// For a container engine, which has its own deadline.
const HEALTH: Duration = Duration::from_secs(1);

/// For `config check`: everything that keeps rows out of the table. Empty if it is not written.
pub(crate) fn warnings(settings: &DatabaseSettings) -> Vec<String> {
    match report(settings, CHECK) {
        None => Vec::new(),
        Some(Ok(report)) => {
            let others =
                report.obstacles.iter().filter(|obstacle| Some(*obstacle) != report.refusal.as_ref());
            let others = others.map(|obstacle| format!("pwr_data: {obstacle}"));
            refused(&report).into_iter().chain(others).collect()
        }
        Some(Err(why)) => vec![format!("could not check whether pwr_data accepts rows: {why}")],
    }
}

/// For `healthcheck`: why the table accepts no rows at present, if it does not.
pub(crate) fn refusal(settings: &DatabaseSettings) -> Option<String> {
    match report(settings, HEALTH)? {
        Ok(report) => refused(&report),
        Err(why) => Some(format!("unknown whether pwr_data accepts rows: {why}")),
    }
}

fn refused(report: &LegacyReport) -> Option<String> {
    let refusal = report.refusal.as_deref()?;
    Some(format!("pwr_data is refused (waiting sweeps: {}): {refusal}", report.waiting))
}

/// Checks on a separate thread, which ends with the process if the server never responds.
fn report(settings: &DatabaseSettings, timeout: Duration) -> Option<Result<LegacyReport, String>> {
    let server = server(settings).ok().filter(|server| settings.enabled && server.legacy_table)?;
    let (sender, receiver) = mpsc::channel::<Result<LegacyReport, StoreError>>();
    let thread = thread::Builder::new().name("legacy table".to_owned());
    if let Err(error) = thread.spawn(move || sender.send(check_legacy_table(&server))) {
        return Some(Err(error.to_string()));
    }
    Some(match receiver.recv_timeout(timeout) {
        Ok(Ok(report)) => Ok(report),
        // The service creates the database, and the table in it.
        Ok(Err(StoreError::NotThere { .. })) => Ok(LegacyReport::default()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer from {} within {}", settings.url, HumanDuration(timeout))),
    })
}
