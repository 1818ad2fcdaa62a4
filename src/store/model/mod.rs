//! The records that are stored, and how they are made from reports.

pub(crate) mod counter_sampler;
pub(crate) mod lifetime_sampler;
pub mod minute_aggregator;
pub mod record;
pub mod record_builder;
pub mod sums;
pub mod sweep_record;
