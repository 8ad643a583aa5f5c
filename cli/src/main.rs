//! The `kcoro` program.

fn main() {
    println!("kcoro {}", env!("CARGO_PKG_VERSION"));
}
