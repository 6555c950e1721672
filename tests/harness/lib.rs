//! Owns: what tests of more than one crate stand on: the real daemon, real servers, scripted ones, a small HTTP of its own.
//! Must never know: how the daemon speaks HTTP, so that it cannot share its mistakes.

pub mod app;
pub mod bus;
pub mod chance;
pub mod daemon;
pub mod dav_book;
pub mod disk_copy;
pub mod features;
pub mod fleet;
pub mod fuzz;
pub mod hostile;
pub mod keyring;
pub mod machine;
pub mod named;
pub mod proxy;
pub mod python;
pub mod rest_server;
pub mod results;
pub mod servers;
pub mod systemd;
pub mod tally;
pub mod trackers;
pub mod trap;
pub mod vdir;
pub mod wait;
pub mod wire;
