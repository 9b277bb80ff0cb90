//! Laws: a table is made as a whole, beside the old one, and by one alone.

use std::os::unix::fs::symlink;

use super::*;
use crate::{OpenFlags, Settings, open};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("lookup-cdb-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        Place(directory)
    }

    fn writer(&self) -> Writer {
        Writer { path: self.0.join("table.cdb"), mode: 0o640, nul: false }
    }

    fn listing(&self) -> Vec<(String, String)> {
        let name = format!("cdb:{}", self.0.join("table").display());
        let table = open(&name, &Settings::default(), OpenFlags::default()).unwrap();
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        table.visit(&mut |key, value| found.push((text(key), text(value)))).unwrap();
        for (key, value) in &found {
            assert_eq!(table.lookup(key.to_uppercase().as_bytes()), Ok(Some(value.as_bytes().to_vec())));
        }
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<Pair> {
    pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn of_entries_with_one_key_the_first_or_the_last_is_written_in_its_place() {
    let place = Place::new("chosen");
    let entries = pairs(&[("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("a", "5")]);
    assert_eq!(place.writer().make(&entries, Existing::Report).unwrap(), [2, 4]);
    assert_eq!(place.listing(), texts(&[("a", "1"), ("b", "2"), ("c", "4")]));
    assert!(place.writer().make(&entries, Existing::Keep).unwrap().is_empty());
    assert_eq!(place.listing(), texts(&[("a", "1"), ("b", "2"), ("c", "4")]));
    assert!(place.writer().make(&entries, Existing::Replace).unwrap().is_empty());
    assert_eq!(place.listing(), texts(&[("b", "2"), ("c", "4"), ("a", "5")]));
}

#[test]
fn keys_and_values_that_end_in_a_nul_are_found_too() {
    let place = Place::new("nul");
    Writer { nul: true, ..place.writer() }.make(&pairs(&[("a", "1"), ("b", "2")]), Existing::Report).unwrap();
    assert_eq!(place.listing(), texts(&[("a", "1"), ("b", "2")]));
    assert!(fs::read(place.writer().path).unwrap().windows(4).any(|bytes| bytes == b"a\x001\0"));
}

#[test]
fn an_unfinished_file_is_written_over_and_the_old_one_stays_as_it_is_open() {
    let place = Place::new("unfinished");
    let path = place.writer().path;
    fs::write(place.0.join("table.cdb.tmp"), "x".repeat(100_000)).unwrap();
    place.writer().make(&pairs(&[("a", "1")]), Existing::Report).unwrap();
    let old = fs::read(&path).unwrap();
    let open = File::open(&path).unwrap();
    place.writer().make(&pairs(&[("b", "2")]), Existing::Report).unwrap();
    assert_eq!(place.listing(), texts(&[("b", "2")]));
    assert_eq!((open.metadata().unwrap().len(), open.metadata().unwrap().nlink()), (old.len() as u64, 0));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(!place.0.join("table.cdb.tmp").exists());
}

#[test]
fn what_cannot_take_its_name_leaves_what_was_there() {
    let place = Place::new("name");
    fs::create_dir(place.writer().path).unwrap();
    let error = place.writer().make(&pairs(&[("a", "1")]), Existing::Report).unwrap_err().to_string();
    let path = place.writer().path.display().to_string();
    assert_eq!(error, format!("rename database from {path}.tmp to {path}: Is a directory"));
    fs::remove_dir(place.writer().path).unwrap();
    // A name that leads elsewhere is not written through.
    symlink(place.0.join("victim"), place.0.join("table.cdb.tmp")).unwrap_or_default();
    fs::write(place.0.join("victim"), "mine").unwrap();
    assert!(place.writer().make(&pairs(&[("a", "1")]), Existing::Report).is_err());
    assert_eq!(fs::read(place.0.join("victim")).unwrap(), b"mine");
}

#[test]
fn of_two_that_make_one_table_each_makes_a_whole_one() {
    let place = Place::new("two");
    let writer = place.writer();
    std::thread::scope(|scope| {
        for maker in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                let entries: Vec<Pair> =
                    (0..2000).map(|n| (format!("key{n}").into_bytes(), vec![b'a' + maker; 50])).collect();
                (0..5).for_each(|_| drop(writer.make(&entries, Existing::Report).unwrap()));
            });
        }
    });
    let listing = place.listing();
    assert_eq!(listing.len(), 2000);
    assert!(listing.iter().all(|(_, value)| *value == listing[0].1));
}

#[test]
fn a_file_of_more_than_4_gib_is_refused_before_its_first_byte() {
    let long = (b"k".to_vec(), vec![0; 1 << 20]);
    // The same one again and again.
    let refused = Layout::of(&[long], &[0; 4096], &[0], false).err().map(|error| error.to_string());
    assert_eq!(refused.as_deref(), Some("a file of this type has 4 GiB at most"));
}
