//! Owns: the house law: who may know whom, what lies where, and that nothing is forgotten. Must never know: what the code does.
//!
//! The law is data (`house.rs`); the checks read the sources as text. Each check was seen to fail (`lawless.rs` holds the cases).

mod crates;
mod files;
mod house;
mod knows;
mod lawless;
mod openrpc;
mod places;
mod planted;
mod reach;
mod readme;
mod tree;
mod units;

/// Every breach at once: who tidies up wants the whole list.
#[track_caller]
fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n  {}\n", breaches.join("\n  "));
}
