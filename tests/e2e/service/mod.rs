mod chaos;
mod exit_70;
mod shutdown;
mod systemd;
mod whole_program;
