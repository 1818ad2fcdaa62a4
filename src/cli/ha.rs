//! `bankwatch ha`: moves Home Assistant's entities over from the predecessor and back, or clears what is ours.

use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::cli::exit::Exit;
use crate::mqtt::kept::{Kept, kept};
use crate::mqtt::message::Message;
use crate::mqtt::migration;
use crate::mqtt::session::{Patience, Session};
use crate::mqtt::topics::Topics;
use crate::settings::{Settings, Sources, load};

/// What to do with Home Assistant's discovery topics.
#[derive(Debug, Subcommand)]
pub enum HaVerb {
    /// Move the predecessor's entities over to bankwatch, history and names included, or back
    #[command(after_help = "The service does this by itself when it finds them.\n\n\
        Examples:\n  bankwatch ha migrate --dry-run\n  bankwatch ha migrate --back")]
    Migrate {
        /// Hand our entities back to the predecessor
        #[arg(long)]
        back: bool,
        #[command(flatten)]
        at: At,
    },
    /// Take our entities out of Home Assistant
    #[command(after_help = "Example: a battery was sold, and its entities are to go\n  \
        bankwatch ha remove --vanished --dry-run")]
    Remove {
        /// Only batteries that are offline while their bank is online
        #[arg(long)]
        vanished: bool,
        #[command(flatten)]
        at: At,
    },
}

/// At which broker, and whether in earnest.
#[derive(Debug, Args)]
pub struct At {
    /// Show what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The service's settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One of the service's settings; stands above all others
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}
