mod bad_input;
mod capture;
mod db;
mod demo;
mod doctor;
mod healthcheck;
