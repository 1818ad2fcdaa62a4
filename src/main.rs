//! The program: see `cli`.

fn main() {
    bankwatch::run()
}
