mod deploy;
mod docs;
mod imports;
mod slow_tests;
mod type_names;
mod words;
