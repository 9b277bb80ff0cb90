//! Values that name files and stand for what is in them: tls_server_sni_maps, and `postmap -F`.
//!
//! Indexed tables have the contents themselves, in base64; tables of text have the names, and files are read when the
//! table is opened. A value that cannot be read is none: its entry is skipped, with a warning.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::errno::Errno;

use crate::file;

/// Longest content of one value, bytes.
/// told: who reads the table, by a warning about the entry.
const MAX_CONTENT: usize = 16 << 20;

/// What the files of a list hold, with a newline between them.
///
/// # Errors
/// The list is empty, or a file cannot be read: the sentence for the log.
pub fn of_files(list: &[u8]) -> Result<Vec<u8>, String> {
    let is_separator = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
    let mut names = list.split(is_separator).filter(|name| !name.is_empty()).peekable();
    if names.peek().is_none() {
        // The quotes are Postfix's.
        return Err(format!("empty pathname list: >>{}<<'", text::printable(list)));
    }
    let mut content = Vec::new();
    for (at, name) in names.enumerate() {
        if at > 0 {
            content.push(b'\n');
        }
        add(name, &mut content)?;
    }
    Ok(content)
}

fn add(name: &[u8], content: &mut Vec<u8>) -> Result<(), String> {
    use std::os::unix::ffi::OsStrExt;
    let failed = |act: &str, error: &std::io::Error| format!("{act} {}: {}", text::printable(name), net::reason(error));
    let open = file::open(std::ffi::OsStr::from_bytes(name)).map_err(|error| failed("open", &error))?;
    let room = MAX_CONTENT.saturating_sub(content.len());
    // told: the error names the file
    let length = open.take(room as u64 + 1).read_to_end(content).map_err(|error| failed("read", &error))?;
    if length > room { Err(failed("read", &Errno::EFBIG.into())) } else { Ok(()) }
}

/// The form in which an indexed table has a content.
pub fn encode(content: &[u8]) -> Vec<u8> {
    STANDARD.encode(content).into_bytes()
}

/// The content that an indexed table has for a key.
///
/// # Errors
/// The table was made without `-F`: the sentence for the log.
pub(crate) fn decode(table: &str, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, String> {
    STANDARD.decode(stored).map_err(|_| {
        let (key, value) = (text::printable(key), text::printable(stored));
        format!("table {table}: key {key}: malformed BASE64 value: {value}")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{OpenFlags, Settings, open};

    /// A folder with files `a` and `b`; its name.
    fn folder(test: &str) -> String {
        let folder = std::env::temp_dir().join(format!("lookup-contents-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a"), "A\n").unwrap();
        std::fs::write(folder.join("b"), b"\xff$1").unwrap();
        folder.to_str().unwrap().to_owned()
    }

    #[test]
    fn contents_of_files_stand_behind_each_other_on_lines_of_their_own() {
        let folder = folder("list");
        assert_eq!(of_files(format!("{folder}/a, {folder}/b").as_bytes()).unwrap(), b"A\n\n\xff$1");
        assert_eq!(of_files(b" , ").unwrap_err(), "empty pathname list: >> , <<'");
        let missing = of_files(format!("{folder}/a {folder}/c").as_bytes()).unwrap_err();
        assert_eq!(missing, format!("open {folder}/c: No such file or directory"));
        assert_eq!(of_files(folder.as_bytes()).unwrap_err(), format!("read {folder}: Is a directory"));
        assert_eq!(of_files(b"/dev/zero").unwrap_err(), "read /dev/zero: File too large");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn every_type_of_table_answers_with_what_is_in_the_file() {
        let folder = folder("types");
        std::fs::write(format!("{folder}/t"), format!("k {folder}/b\nx {folder}/none\n")).unwrap();
        let flags = OpenFlags { files: true, ..OpenFlags::default() };
        let open = |name: &str| open(name, &Settings::default(), flags).map_err(|error| error.to_string());
        for name in [
            format!("texthash:{folder}/t"),
            format!("hash:{folder}/t"),
            format!("inline:{{k={folder}/b}}"),
            format!("static:{folder}/b"),
            format!("regexp:{{{{/(k)/ {folder}/b}}}}"),
            format!("pcre:{{{{/(k)/ {folder}/b}}}}"),
        ] {
            assert_eq!(open(&name).unwrap().lookup(b"k").unwrap().as_deref(), Some(&b"\xff$1"[..]), "{name}");
        }
        let networks = open(&format!("cidr:{{{{::/0 {folder}/a}}}}")).unwrap();
        assert_eq!(networks.lookup(b"::1").unwrap().as_deref(), Some(&b"A\n"[..]));
        assert_eq!(open(&format!("texthash:{folder}/t")).unwrap().lookup(b"x").unwrap(), None);
        let missing = format!("open {folder}/none: No such file or directory");
        assert_eq!(open(&format!("static:{folder}/none")).err(), Some(missing.clone()));
        let name = format!("inline:{{k={folder}/none}}");
        let need = "need \"inline:{name=filename...}\"";
        assert_eq!(open(&name).err(), Some(format!("{missing}: \"{name}\"; {need}")));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn an_index_that_was_made_of_names_is_an_error_and_its_list_goes_without_it() {
        let folder = folder("index");
        let path = format!("{folder}/t.lmdb");
        let writer =
            crate::write::lmdb::Writer { path: path.into(), map_size: 1 << 20, create: Some(0o600), nul: true };
        let pairs = [(b"k".to_vec(), encode(b"\xff\0$1")), (b"x".to_vec(), b"no base64".to_vec())];
        writer.put(&pairs, true, crate::write::Existing::Report).unwrap();
        let flags = OpenFlags { files: true, ..OpenFlags::default() };
        let table = open(&format!("lmdb:{folder}/t"), &Settings::default(), flags).unwrap();
        assert_eq!(table.lookup(b"K").unwrap().as_deref(), Some(&b"\xff\0$1"[..]));
        assert_eq!(table.lookup(b"x").unwrap_err().to_string(), format!("table lmdb:{folder}/t: query error"));
        let mut listed = Vec::new();
        table.visit(&mut |key, value| listed.push((key.to_vec(), value.to_vec()))).unwrap();
        assert_eq!(listed, [(b"k".to_vec(), b"\xff\0$1".to_vec())]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back_and_other_text_ends_in_one_line(content: Vec<u8>, other: Vec<u8>) {
            prop_assert_eq!(decode("t", b"k", &encode(&content)), Ok(content));
            if let Err(why) = decode("t", &other, &other) {
                prop_assert!(!why.contains(['\n', '\r']), "{why}");
            }
        }
    }
}
