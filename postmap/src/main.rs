//! postmap - lookup tables: make, query, change
//!
//! # Synopsis
//! `postmap [-bfFhijmnNoprsuUvw] [-c config_dir] [-d key] [-q key] [file_type:]file...`
//!
//! # Description
//! Without a query, reads the source text `file` and writes the table beside it: `file.lmdb`, or `file.cdb` (`hash:`
//! and `btree:` tables are lmdb files here). The table is replaced as a whole: readers see the old or the new one. It
//! has the permissions of the source, whatever the umask, and its owner can write it.
//!
//! `-q KEY` prints the value of a key, `-s` all entries, `-d KEY` removes one; KEY `-` reads keys from standard input.
//! `-i` adds entries from standard input to the table, `-r` replaces and `-w` ignores duplicates without a warning,
//! `-f` keeps the case of keys, `-n` and `-N` write keys and values without and with a NUL at their end (by default
//! lmdb has it, and cdb has not), `-p` gives a new file mode 0644 instead of the source's, `-o` keeps root's rights for
//! a source that is not root's. A cdb table is made as a whole: `-i` and `-d` are refused.
//!
//! With `-F` the value of a key is a list of files, and what is stored is what is in them, in base64, as
//! tls_server_sni_maps needs its keys and certificates; `-q` and `-s` show it as it is stored, and as the text that it
//! was with `-F`. An entry whose files cannot be read is left out, with a warning.
//!
//! With `-j`, what `-q` and `-s` print are JSON objects with one member, the value by its key, one a line.
//!
//! With `-q -`, `-h` and `-b` read standard input as a message: its header fields, or the lines of its body, are the
//! keys, as header_checks(5) and body_checks(5) see them; with `-m` headers of parts and of attached messages are
//! headers too.
//!
//! # Privilege
//! The caller's; for root those of the source's owner, so that a user's table stays the user's.
//!
//! # Diagnostics
//! Exit status 0: done, or found. 1: not found, or an error.

mod build;
mod message;
mod options;
mod query;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::run()
}
