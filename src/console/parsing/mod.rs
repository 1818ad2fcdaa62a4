//! What the answers have in common: tables with a header, lines of `label : value`, numbers, units and times.

pub mod labeled_line;
pub mod number;
pub(crate) mod numbered_rows;
pub(crate) mod row_numbers;
pub(crate) mod setters;
pub mod table;
