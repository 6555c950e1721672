//! Owns: the laws of the engine: every run ends, every question is answered once, nothing starts under a stop. Must never know: the store.
