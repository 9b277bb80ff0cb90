//! The system tests. One file a subject; each test is a law about the whole mail system, and runs on C Postfix too.

mod accept;
mod alias;
mod bounce;
mod check;
mod clients;
mod configuration;
mod container;
mod damage;
mod descriptors;
mod durable;
mod installed;
mod judged;
mod kill;
mod limits;
mod load;
mod local;
mod names;
mod operate;
mod outside;
mod owners;
mod patterns;
mod queue_tools;
mod racing;
mod refused;
mod refuses;
mod relay;
mod reload;
mod source_address;
mod stock;
mod submitted;
mod swap;
mod tables;
mod users;
#[cfg(target_arch = "x86_64")]
mod walls;
mod way;
