//! The system tests. One file a subject; each test is a law about the whole mail system, and runs on C Postfix too.

mod accept;
mod alias;
mod amended;
mod attacked;
mod bounce;
mod bound_logins;
