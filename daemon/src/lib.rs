//! Owns: the list of the daemon's rooms. Must never know: what happens in them.

pub mod json;
pub mod remotes;
