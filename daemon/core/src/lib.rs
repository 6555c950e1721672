//! Owns: mingle's mind: every decision. Must never know: anything outside. No I/O, no clock, no chance, no JSON text: what is not
//! computed from the arguments is not here. `daemon/ARCHITECTURE.md` has the map.

pub mod ask;
pub mod budget;
pub mod desktop;
pub mod engine;
pub mod filter;
pub mod limits;
pub mod login;
pub mod meeting;
pub mod mingle;
pub mod path;
pub mod pending;
pub mod planted;
pub mod policy;
pub mod record;
pub mod reference;
pub mod replay;
pub mod replica;
pub mod run;
pub mod schedule;
pub mod session;
pub mod time;
pub mod undo;
pub mod work;
