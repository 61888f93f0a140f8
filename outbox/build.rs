//! The migrations are compiled in: a new file there must compile them anew.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
