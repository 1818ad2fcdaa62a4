//! bankwatch reads the console of PYTES and PYLONTECH battery banks and tells the rest of the house.

pub mod cli;
pub mod model;
pub mod simulator;
