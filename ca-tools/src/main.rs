//! The trust services alone.
fn main() {}
