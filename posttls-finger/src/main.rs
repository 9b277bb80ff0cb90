//! posttls-finger - show the TLS of a mail server
//!
//! # Synopsis
//! `posttls-finger [options] [inet:]domain[:port] [match...]`
//!
//! `posttls-finger -S [options] unix:pathname [match...]`
//!
//! # Description
//! Connects to a server as smtp does (mail exchangers of a domain, `[host]`, `:port`), says EHLO, begins TLS where that
//! is offered, says EHLO again and QUIT. It shows what was said, what the TLS session is, what certificate the server
//! has, and whether that is what the level asks for. No mail is sent, no table is read, no other program of the mail
//! system is asked; sessions are remembered in this process alone. Nothing that a server is found to be is an error.
//!
//! `-l LEVEL` is the level, `dane` by default; with `dane` and `dane-only` a server without TLSA records that are of
//! use is held to `secure`. `match` has the names for `verify` and `secure`, or the fingerprints for `fingerprint`.
//!
//! Where to: `-a FAMILY` is tried first (`ipv4`, `ipv6`, `any`), `-h LOOKUP` is how hosts are found (`dns`, `native`),
//! `-S` speaks LMTP, `-w` begins with TLS, `-t` is the time limit in seconds of connecting and of the greeting, `-T`
//! that of each command.
//!
//! TLS: `-p PROTOCOLS` and `-g GRADE` as smtp_tls_mandatory_protocols and smtp_tls_mandatory_ciphers, `-s NAME` is the
//! name that is asked for where DANE names none. `-F FILE` and `-P DIRECTORY` have the authorities that are believed,
//! `-A FILE` (any number) trust anchors in their place. `-H FILES` (any number) or `-k FILE` and `-K FILE` have our
//! certificate and its key. `-d DIGEST` is the algorithm of fingerprints, by default smtp_tls_fingerprint_digest.
//! `-M POLICY` is smtp_tls_dane_insecure_mx_policy, `-f` is smtp_tls_force_insecure_host_tlsa_lookup.
//!
//! What is shown: `-c` leaves out what was said, `-C` adds the certificates as PEM, `-L OPTIONS` are lines of TLS as in
//! smtp_tls_loglevel (`routine,certmatch`), `-v` adds the addresses that are tried.
//!
//! `-r SECONDS` connects again after that time to show whether the server lets a session be resumed, `-m COUNT` times
//! at most (5), until a server answers that was met before.
//!
//! `-o NAME=VALUE` takes the place of a parameter of main.cf.
//!
//! `-x` asks a server for its public key in place of a certificate, as smtp_tls_enable_rpk does, at levels may, encrypt
//! and fingerprint; one that shows none is connected to again. `-X` asks for a session
//! by way of tlsproxy: there is none, so that a warning says so, and the session is the usual one.
//!
//! # Privilege
//! The caller's. Called by root it reads its files, and becomes mail_owner before it connects.
//!
//! # Peers
//! Name servers, and the mail server.
//!
//! # Diagnostics
//! Everything goes to standard output, `posttls-finger: ` in front. Exit status 1: the command line or main.cf cannot
//! be used, or the connection broke at STARTTLS; otherwise 0, whatever was found.

mod chat;
mod engine;
mod options;
mod probe;
mod run;
mod shown;
mod terms;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::run()
}
