//! Plays the platforms over real HTTP.
