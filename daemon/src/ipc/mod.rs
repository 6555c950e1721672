//! Owns: the socket: listening, who may ask what, answering, subscriptions. Must never know: SQL, remotes, the schedule.

pub mod door;
pub mod news;
