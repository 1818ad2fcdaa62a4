//! Migrations are read while the crate is compiled: it is compiled anew when one of them changes.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
