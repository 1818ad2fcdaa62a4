mod actor;
mod catalogue;
mod device_log;
mod log;
mod tracker;
mod words;
