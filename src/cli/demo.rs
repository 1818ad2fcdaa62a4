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

/// Where and how fast.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bankwatch demo --speed 60")]
pub(crate) struct DemoArguments {
    /// Everything the demo writes lies here; delete it afterwards
    #[arg(long, value_name = "DIR", default_value = "bankwatch-demo")]
    folder: PathBuf,
    /// How many seconds of the bank's life go by in one of ours; 0 stands still
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// What the simulated console speaks: the dialects are those of `bankwatch simulate`
    #[arg(long, value_name = "NAME", default_value = "pytes-v5")]
    dialect: Dialect,
}

/// Runs until Ctrl-C.
///
/// # Errors
/// The folder can't be made, or the simulation or the service can't be started.
pub(crate) fn demo(arguments: &DemoArguments) -> anyhow::Result<Exit> {
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("the folder {} can't be made", folder.display()))?;
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
        "A simulated bank of 4 batteries with 16 cells each.\n\
         console  {}\nstatus   {}\nlog      {}\nCtrl-C ends it.\n",
        bank.link(),
        loaded.settings.json_file.of("demo").display(),
        folder.join("demo.log").display(),
    )?;
    let exit = run::serve(
        app::Plan {
            settings: loaded.settings,
            config: "demo".into(),
            terminal: true,
            workings: app::Workings::default(),
        },
        &loaded.warnings,
        |_, control| control.reopen(),
    );
    bank.stop();
    exit
}

/// The settings of the demo: nothing from this machine's files or variables.
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
