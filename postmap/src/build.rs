//! Making a table from its source text.

use std::fs::File;
use std::io::{Read, stdin};
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use config::{Config, param};
use lookup::source::{Entry, Problem};
use lookup::write::{WriteError, Writer};
use lookup::{Kind, Spec, alias, contents, fold, source};

use crate::options::Options;
use crate::run::Program;

/// Reads the source and writes the table.
pub(crate) fn build(program: &Program, options: &Options, config: &Config, spec: &Spec) -> Result<(), String> {
    if options.incremental {
        can_change(options, config, spec)?;
    }
    let source = Source::read(options, spec)?;
    match spec.kind {
        Kind::Fail => return Err(format!("table {spec}: write error: Application error")),
        kind if !kind.has_index() => {
            let kind = kind.as_str();
            return Err(format!("no 'map create' support for this type: {kind}"));
        }
        _ => {}
    }
    let utf8 = options.is_utf8(config);
    let parse = if program.aliases { alias::entries } else { source::entries };
    let (mut entries, mut problems) = parse(&source.text, utf8);
    if options.files {
        read_contents(&mut entries, &mut problems);
    }
    let mut pairs = Vec::with_capacity(entries.len() + 3);
    if program.aliases {
        pairs.extend(marks_of_an_alias_database(config));
    }
    let first = pairs.len();
    pairs.extend(entries.iter().map(|entry| (key(options, utf8, &entry.key), entry.value.clone())));
    let writer = writer(options, config, spec, Some(source.mode))?;
    let put = match options.incremental {
        true => writer.add(&pairs, options.existing),
        false => writer.make(&pairs, options.existing),
    };
    let duplicates = put.as_deref().unwrap_or_default().iter().filter_map(|at| at.checked_sub(first));
    report(spec, &source.name, &entries, &problems, duplicates);
    put.map(|_| ()).map_err(|error| match error {
        WriteError::Update(reason) => format!("error updating {spec}: {reason}"),
        error => error.to_string(),
    })
}

/// Where the entries come from.
struct Source {
    /// For messages.
    name: String,
    text: Vec<u8>,
    /// Permissions of the table, if it is made now.
    mode: u32,
}

impl Source {
    /// Reads standard input for an incremental update, else the source file, whose owner the process becomes.
    fn read(options: &Options, spec: &Spec) -> Result<Self, String> {
        let mut text = Vec::new();
        if options.incremental {
            stdin().read_to_end(&mut text).map_err(|error| format!("read standard input: {}", net::reason(&error)))?;
            return Ok(Self { name: "stdin".to_owned(), text, mode: 0o644 });
        }
        let failed = |error: std::io::Error| format!("open {}: {}", spec.name, net::reason(&error));
        let mut file = File::open(&spec.name).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !options.keep_root {
            become_owner(metadata.uid(), metadata.gid())?;
        }
        file.read_to_end(&mut text).map_err(failed)?;
        // Whoever makes a table can make it again.
        let mode = if options.inherit_mode { metadata.mode() | 0o200 } else { 0o644 };
        Ok(Self { name: spec.name.clone(), text, mode })
    }
}

/// Puts what is in files in the place of their names. An entry whose files cannot be read goes, with a problem.
fn read_contents(entries: &mut Vec<Entry>, problems: &mut Vec<Problem>) {
    entries.retain_mut(|entry| match contents::of_files(&entry.value) {
        Ok(content) => {
            entry.value = contents::encode(&content);
            true
        }
        Err(why) => {
            problems.push(Problem { line: Some(entry.line), last: None, text: format!("{why}: skipping this entry") });
            false
        }
    });
}

/// What makes or changes the file of a table; `create` are the permissions of one that is made.
pub(crate) fn writer(options: &Options, config: &Config, spec: &Spec, create: Option<u32>) -> Result<Writer, String> {
    let map_size = config.get(param::LMDB_MAP_SIZE).map_err(|error| error.to_string())?;
    Ok(Writer::of(spec, usize::try_from(map_size).unwrap_or(16 << 20), create, options.nul))
}

/// Whether entries of a table can be added and removed; asked before any of them is read.
pub(crate) fn can_change(options: &Options, config: &Config, spec: &Spec) -> Result<(), String> {
    match spec.kind {
        Kind::Static => return Err(format!("table {spec}: update operation is not supported")),
        // Making one is refused in its own words.
        Kind::Environ | Kind::Internal | Kind::Fail | Kind::Debug => return Ok(()),
        kind if !kind.has_index() => return Err(format!("{spec} map requires O_RDONLY access mode")),
        _ => {}
    }
    writer(options, config, spec, None)?.can_change().map_err(|error| error.to_string())
}

/// A key as it is stored.
pub(crate) fn key(options: &Options, utf8: bool, key: &[u8]) -> Vec<u8> {
    if options.keep_case { key.to_vec() } else { fold::fold(key, utf8) }
}

/// What Postfix's postalias adds, so that tables that other programs read are alike.
fn marks_of_an_alias_database(config: &Config) -> [(Vec<u8>, Vec<u8>); 3] {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let host = config.lookup("myhostname").ok().flatten().unwrap_or_default();
    [
        (b"@".to_vec(), b"@".to_vec()),
        (b"YP_LAST_MODIFIED".to_vec(), format!("{seconds:010}").into_bytes()),
        (b"YP_MASTER_NAME".to_vec(), host.into_bytes()),
    ]
}

/// Warnings in the order of the source.
fn report(spec: &Spec, file: &str, entries: &[Entry], problems: &[Problem], duplicates: impl Iterator<Item = usize>) {
    let mut warnings: Vec<(usize, String)> =
        problems.iter().map(|problem| (problem.line.unwrap_or(0), problem.in_file(file))).collect();
    let table = if spec.kind == Kind::Cdb { spec.name.clone() } else { spec.to_string() };
    for entry in duplicates.filter_map(|at| entries.get(at)) {
        warnings.push((entry.line, format!("{table}: duplicate entry: \"{}\"", text::printable(&entry.key))));
    }
    warnings.sort_by_key(|(line, _)| *line);
    for (_, warning) in warnings {
        logging::warning!("{warning}");
    }
}

/// Root makes a user's table with the user's rights.
fn become_owner(uid: u32, gid: u32) -> Result<(), String> {
    if !sys::identity::is_root() || uid == 0 {
        return Ok(());
    }
    let owner = sys::identity::Identity { uid, gid, groups: vec![gid] };
    sys::identity::become_for_good(&owner)
        .map_err(|error| format!("set uid {uid}: {error}", error = text::system_error(&error)))
}
