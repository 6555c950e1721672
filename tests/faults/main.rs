//! Owns: faults, put into real processes one by one: disks, memory, clocks, networks, other people. Must never know: how the daemon
//! survives them.
//!
//! `rows/*.toml` lists every fault that we know of, with the tests that put it in, or why none does.

mod chaos;
mod disk;
mod net;
mod rows;
