//! What `pwr_data`, the table of pytes_serial, makes of our rows, for verbs that look from outside. The server has a short
//! deadline: one that is away is another one's business.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::outage::HumanDuration;
use crate::settings::DatabaseSettings;
use crate::store::{LegacyReport, StoreError, check_legacy_table, server};

/// For a person who waits.
const CHECK: Duration = Duration::from_secs(2);
/// For a container engine, which has deadlines of its own.
const HEALTH: Duration = Duration::from_secs(1);

/// For `config check`: what keeps rows out of the table, each as a sentence. Nothing where it is not written.
pub(crate) fn warnings(settings: &DatabaseSettings) -> Vec<String> {
    match report(settings, CHECK) {
        None => Vec::new(),
        Some(Ok(report)) => {
            let others =
                report.obstacles.iter().filter(|obstacle| Some(*obstacle) != report.refusal.as_ref());
            let others = others.map(|obstacle| format!("pwr_data: {obstacle}"));
            refused(&report).into_iter().chain(others).collect()
        }
        Some(Err(why)) => vec![format!("whether pwr_data takes rows was not checked: {why}")],
    }
}

/// For `healthcheck`: why the table takes no rows at present, if that is so.
pub(crate) fn refusal(settings: &DatabaseSettings) -> Option<String> {
    match report(settings, HEALTH)? {
        Ok(report) => refused(&report),
        Err(why) => Some(format!("whether pwr_data takes rows is not known: {why}")),
    }
}

fn refused(report: &LegacyReport) -> Option<String> {
    let refusal = report.refusal.as_deref()?;
    Some(format!("pwr_data is refused (waiting sweeps: {}): {refusal}", report.waiting))
}

/// Asks on a thread of its own, which ends with the process where the server never answers.
fn report(settings: &DatabaseSettings, patience: Duration) -> Option<Result<LegacyReport, String>> {
    let server = server(settings).ok().filter(|server| settings.enabled && server.legacy_table)?;
    let (sender, answer) = mpsc::channel::<Result<LegacyReport, StoreError>>();
    let asked = thread::Builder::new().name("legacy table".to_owned());
    if let Err(error) = asked.spawn(move || sender.send(check_legacy_table(&server))) {
        return Some(Err(error.to_string()));
    }
    Some(match answer.recv_timeout(patience) {
        Ok(Ok(report)) => Ok(report),
        // The service creates the database, and the table in it.
        Ok(Err(StoreError::NotThere { .. })) => Ok(LegacyReport::default()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer from {} within {}", settings.url, HumanDuration(patience))),
    })
}
