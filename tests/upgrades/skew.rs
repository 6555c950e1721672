//! Owns: x. Must never know: y.
