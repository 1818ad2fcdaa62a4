//! `bankwatch demo`: the whole service on a simulated bank of four batteries.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::app;
use crate::cli::exit::Exit;
use crate::cli::run;
use crate::cli::simulate::speed;
use crate::settings::{Sources, load};
use crate::simulator::{Dialect, Simulation};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bankwatch demo --speed 60")]
pub(crate) struct DemoArguments {
    /// Directory for everything that the demo writes; can be deleted afterwards
    #[arg(long, value_name = "DIR", default_value = "bankwatch-demo")]
    folder: PathBuf,
    /// Simulated seconds per second; 0 stops the simulated clock
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Console dialect, as for `bankwatch simulate`
    #[arg(long, value_name = "NAME", default_value = "pytes-v5")]
    dialect: Dialect,
}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// Returns an error if the directory cannot be created, or the simulation or the service cannot be started.
pub(crate) fn demo(arguments: &DemoArguments) -> anyhow::Result<Exit> {
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("the directory {} can't be created", folder.display()))?;
    let folder = std::fs::canonicalize(folder)?;
    let bank = Simulation::new(arguments.dialect)
        .batteries(4)
        .cells(16)
        .speed(arguments.speed)
        .pty(folder.join("console"))
        .start()?;
    let loaded = load(&settings(&folder, &bank.link()))?;
    writeln!(
        io::stdout(),
        "Simulated bank: 4 batteries with 16 cells each\n\
         console  {}\nstatus   {}\nlog      {}\nPress Ctrl-C to stop.\n",
        bank.link(),
        loaded.settings.json_file.path_for("demo").display(),
        folder.join("demo.log").display(),
    )?;
    let exit = run::serve(
        app::AppConfig {
            settings: loaded.settings,
            config_file: "demo".into(),
            show_table: true,
            overrides: app::Overrides::default(),
        },
        &loaded.warnings,
        |_, control| control.reopen(),
    );
    bank.stop();
    exit
}

/// The settings of the demo, independent of this machine's files and environment variables.
fn settings(folder: &Path, link: &str) -> Sources {
    let set = |key: &str, value: &str| format!("{key}={value}");
    Sources {
        config: None,
        search: Vec::new(),
        current_dir: folder.to_owned(),
        options: None,
        variables: Vec::new(),
        overrides: vec![
            set("data_dir", &folder.display().to_string()),
            set("bank.name", "demo"),
            set("bank.link", link),
            set("bank.interval", "2s"),
            set("bank.summary_interval", "0s"),
            set("log.file", "demo.log"),
        ],
        credentials: None,
        state_directory: None,
        data_volume: None,
    }
}
