//! Owns: disks that fail, fill up, lie, are cut off or taken away, and memory that is not given, under the real daemon. Must never know: how the store keeps its word.

mod allocations;
mod cuts;
mod errors;
mod full;
mod images;
mod kills;
mod mount;
mod play;
mod replay;
mod rules;
mod shim;
mod slow;
mod still;
mod taken;
