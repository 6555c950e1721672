//! Owns: the list of the daemon's rooms. Must never know: what happens in them.

pub use mingle_text::json;

pub mod alarm;
pub mod boot;
pub mod cli;
pub mod clock;
pub mod conditions;
pub mod config;
pub mod copies;
#[cfg(target_os = "linux")]
pub mod desktop;
pub mod doctor;
pub mod environment;
pub mod house;
pub mod ipc;
pub mod keeper;
pub mod known;
pub mod lock;
pub mod login;
pub mod logs;
pub mod notify;
pub mod paths;
pub mod perform;
pub mod pinned;
pub mod rehearsal;
pub mod reload;
pub mod remotes;
pub mod run;
pub mod signals;
pub mod start;
pub mod store;
