//! bankwatch reads the console of PYTES and PYLONTECH battery banks and tells the rest of the house.

pub mod console;
pub mod link;
pub mod logging;
pub mod model;
pub mod sweep;
pub mod trouble;
pub mod supervise;
