mod deploy;
mod docs;
mod imports;
mod slow_tests;
