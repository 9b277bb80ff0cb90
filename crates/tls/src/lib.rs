//! TLS sessions with mail servers and clients: what is asked for, what came of it, and Postfix's words for it.
//!
//! The library below (rustls) does the cryptography; all policy is here. Nothing outside of this crate names it.
