//! The program `coffer`.
fn main() {}
