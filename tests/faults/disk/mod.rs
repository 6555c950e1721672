//! Owns: disks that fail, fill up, lie, are cut off or taken away under the real daemon. Must never know: how the store keeps its word.

mod errors;
mod kills;
mod play;
mod shim;
