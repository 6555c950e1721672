//! Owns: the door of the process. Must never know: anything beyond it.

fn main() {}
