//! The `bankwatch` program; see `cli`.

fn main() {
    bankwatch::run()
}
