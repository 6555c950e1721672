//! Owns: the list of the daemon's rooms. Must never know: what happens in them.

pub mod alarm;
pub mod boot;
pub mod cli;
pub mod clock;
pub mod config;
pub mod copies;
pub mod doctor;
pub mod environment;
pub mod house;
pub mod ipc;
pub mod json;
pub mod keeper;
pub mod known;
pub mod lock;
pub mod login;
pub mod logs;
pub mod notify;
pub mod paths;
pub mod perform;
pub mod pinned;
pub mod reload;
pub mod remotes;
pub mod run;
pub mod signals;
pub mod start;
pub mod store;
