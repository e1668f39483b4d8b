//! Puts the configuration's documents together.
