mod clock_gate;
mod journal;
mod journal_drain;
mod journal_model;
