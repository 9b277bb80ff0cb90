//! The system tests. One file a subject; each test is a law about the whole mail system, and runs on C Postfix too.

mod accept;
mod alias;
mod bounce;
mod clients;
mod configuration;
mod damage;
mod descriptors;
mod durable;
mod installed;
mod judged;
mod kill;
mod load;
mod local;
mod names;
mod operate;
mod queue_tools;
mod racing;
mod refuses;
mod relay;
mod reload;
mod source_address;
mod stock;
mod swap;
mod tables;
mod users;
mod way;
