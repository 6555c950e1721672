//! Owns: the socket: listening, who may ask what, answering, subscriptions. Must never know: SQL, remotes, the schedule.

mod authorize;
mod budget;
pub mod connections;
mod convert;
mod discreet;
pub mod door;
mod halves;
mod handle;
pub mod listen;
pub mod news;
mod pages;
mod serve;
mod served;
pub mod server;
mod subscribe;
#[cfg(test)]
mod tests;
mod worker;

pub use authorize::Purpose;
pub use listen::Access;
