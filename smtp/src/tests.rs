//! Whole deliveries against scripted servers.
