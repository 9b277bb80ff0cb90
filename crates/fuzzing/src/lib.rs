//! The laws of every parser of outside bytes, as functions of any input: what holds whatever a stranger sends.
//!
//! A function here takes bytes, gives them to one parser, and asserts: what was written is read back, where the input
//! is cut makes no difference, results are no larger than the input allows, what goes out is harmless. `fuzz/` runs
//! each under libFuzzer (`cargo xtask fuzz`); the inputs that began or broke a run are below `inputs/TARGET/`, and the
//! tests of this crate give every one of them to its target. Nothing here may depend on anything but its input: no
//! time, no file.

mod addresses;
mod configuration;
mod frames;
mod long_texts;
mod message_text;
mod milter_packets;
mod name_service;
mod networks;
mod pieces;
mod plain_text;
mod policy_service;
mod qmqp;
mod queue_files;
mod reports;
mod sasl_client;
mod sasl_server;
mod smtp_client;
mod smtp_content;
mod smtp_dialogue;
mod smtp_server;
mod sockets;
mod tables;
mod tls;
mod tlsa;

pub use addresses::*;
pub use configuration::*;
pub use frames::*;
pub use long_texts::*;
pub use message_text::*;
pub use milter_packets::*;
pub use name_service::*;
pub use networks::*;
pub use plain_text::*;
pub use policy_service::*;
pub use qmqp::*;
pub use queue_files::*;
pub use reports::*;
pub use sasl_client::*;
pub use sasl_server::*;
pub use smtp_client::*;
pub use smtp_content::*;
pub use smtp_dialogue::*;
pub use smtp_server::*;
pub use sockets::*;
pub use tables::*;
pub use tls::*;
pub use tlsa::*;

/// The law of one parser: its name, as the folders of inputs and the files of `fuzz/` have it, and the law itself,
/// which panics where it is broken.
pub type Target = (&'static str, fn(&[u8]));

macro_rules! targets {
    ($($name:ident,)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$((stringify!($name), $name),)*];
    };
}

targets! {
    text_forms,
    tls_lists,
    certificates,
    key_files,
    network_patterns,
    endpoints,
    proxy_header,
    kernel_answers,
    dsn_words,
    bounce_templates,
    bounce_report,
    address_forms,
    header_addresses,
    address_list,
    header_field,
    refolded_field,
    mime_fields,
    seven_bit_message,
    received_comment,
    smtp_command,
    smtp_path,
    smtp_parameters,
    smtp_attributes,
    smtp_dialogue,
    smtp_lines,
    smtp_content,
    smtp_chunks,
    smtp_reply,
    sasl_challenges,
    auth_server,
    policy_answer,
    qmqp_request,
    milter_packets,
    queue_records,
    queue_envelope,
    size_record,
    queue_id,
    delivery_log,
    main_cf_settings,
    main_cf_edits,
    master_cf_entries,
    expressions,
    table_source,
    alias_source,
    client_queries,
    lookup_keys,
    pattern_tables,
    lmdb_files,
    cdb_files,
    destinations,
    attribute_lists,
    queue_listing,
    flush_requests,
    verified_entries,
    frames,
    frame_streams,
    helper_packets,
    dns_answers,
    tlsa_records,
    resolver_files,
    long_text,
}
