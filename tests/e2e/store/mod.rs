mod errors;
mod history_ends;
mod history_file;
mod journal_durability;
mod legacy;
mod records;
mod suite;
