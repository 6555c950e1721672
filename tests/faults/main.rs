//! Owns: faults, put into real processes one by one: disks, memory, clocks, networks, other people. Must never know: how the daemon
//! survives them.
//!
//! `rows/*.toml` lists every fault that we know of, with the tests that put it in, or why none does.

mod apps;
mod cage;
mod chaos;
mod clocks;
mod disk;
mod folders;
mod memory;
mod net;
mod process;
mod races;
mod rows;
mod soak;
mod stops;
mod strangers;
