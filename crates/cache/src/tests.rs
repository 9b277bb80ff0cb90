//! Laws: what was put is there, now and in the file; a file that makes no sense is put aside.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("cache-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.join("c.lmdb")
    }

    /// A cache whose scribe is a thread, and what the scribe says of the file.
    fn open(&self) -> Result<(Cache, String), String> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let path = self.path();
        std::thread::spawn(move || scribe::serve(&theirs, &path, 1 << 20, false));
        let mut buffer = vec![0; ipc::questions::MAX];
        let (count, files) = sys::descriptor::receive_with(ours.as_fd(), &mut buffer).unwrap();
        match Reply::decode(&buffer[..count]) {
            Some(Reply::Open(note)) => {
                let file = files.into_iter().next().unwrap().into();
                Ok((Cache::of("lmdb:c".to_owned(), Kept::file(file, ours)), note))
            }
            Some(Reply::Failed(why)) => Err(why),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run<F: Future<Output = ()>>(cache: Cache, test: impl FnOnce(Rc<Cache>) -> F) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default()).unwrap();
    runtime.block_on(async move {
        let cache = Rc::new(cache);
        let serving = Rc::clone(&cache);
        tokio::task::spawn_local(async move { serving.serve().await });
        test(cache).await;
    });
}

fn get(cache: &Cache, key: &str) -> Option<String> {
    cache.get(key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap())
}

#[test]
fn what_is_put_is_there_at_once_and_after_a_restart() {
    let folder = Folder::new("put");
    let (cache, note) = folder.open().unwrap();
    assert_eq!(note, "");
    run(cache, |cache| async move {
        for count in 0..500 {
            assert!(cache.put(format!("user{count}@a.test").as_bytes(), format!("0:0:{count}:fine").into_bytes()));
        }
        assert!(cache.put(b"user7@a.test", b"2:0:7:gone".to_vec()));
        cache.remove(b"user8@a.test");
        assert_eq!(get(&cache, "user7@a.test").as_deref(), Some("2:0:7:gone"));
        assert_eq!(get(&cache, "user8@a.test"), None);
        cache.flush().await;
        assert!(cache.changes.borrow().is_empty() && cache.waiting.borrow().is_empty());
        assert_eq!(get(&cache, "user7@a.test").as_deref(), Some("2:0:7:gone"));
    });
    let (cache, _) = folder.open().unwrap();
    assert_eq!(get(&cache, "user499@a.test").as_deref(), Some("0:0:499:fine"));
    assert_eq!(get(&cache, "user7@a.test").as_deref(), Some("2:0:7:gone"));
    assert_eq!(get(&cache, "user8@a.test"), None);
    assert_eq!(get(&cache, "USER7@a.test"), None);
}

#[test]
fn a_sweep_drops_what_is_old_and_counts_the_rest() {
    let folder = Folder::new("sweep");
    run(folder.open().unwrap().0, |cache| async move {
        for count in 0..6000 {
            let value = if count % 6 == 0 { "new" } else { "old" };
            assert!(cache.put(format!("{count}").as_bytes(), value.into()));
        }
        cache.put(b"_mark_", b"x".to_vec());
        cache.flush().await;
        let judge = |key: &[u8], value: &[u8]| match (key, value) {
            (b"_mark_", _) => Fate::Ignore,
            (_, b"old") => Fate::Drop,
            _ => Fate::Retain,
        };
        assert_eq!(cache.sweep(judge).await, Swept { retained: 1000, dropped: 5000, partial: false });
        cache.flush().await;
        assert_eq!(cache.sweep(judge).await, Swept { retained: 1000, dropped: 0, partial: false });
        assert_eq!((get(&cache, "6").as_deref(), get(&cache, "7")), (Some("new"), None));
        assert_eq!(get(&cache, "_mark_").as_deref(), Some("x"));
    });
}

#[test]
fn what_is_no_entry_is_not_taken() {
    run(Cache::of("internal:x".to_owned(), Kept::Nowhere), |cache| async move {
        assert!(!cache.put(b"", b"x".to_vec()) && !cache.put(b"a\0b", b"x".to_vec()));
        assert!(!cache.put(&[b'k'; MAX_KEY + 1], b"x".to_vec()) && !cache.put(b"k", vec![b'v'; MAX_VALUE + 1]));
        assert!(cache.put(&[b'k'; MAX_KEY], vec![b'v'; MAX_VALUE]));
        assert!(cache.get(&[b'k'; MAX_KEY]).unwrap().is_some());
    });
}

#[test]
fn a_cache_without_a_file_has_an_end() {
    run(Cache::of("internal:x".to_owned(), Kept::Nowhere), |cache| async move {
        for count in 0..MOST_IN_MEMORY + 10 {
            assert!(cache.put(count.to_string().as_bytes(), b"x".to_vec()));
        }
        assert_eq!(cache.changes.borrow().len(), MOST_IN_MEMORY);
        let swept = cache.sweep(|_, _| Fate::Drop).await;
        assert_eq!(swept.dropped, MOST_IN_MEMORY as u64);
    });
}

#[test]
fn a_file_that_makes_no_sense_is_put_aside_and_begun_anew() {
    let folder = Folder::new("damaged");
    run(folder.open().unwrap().0, |cache| async move {
        for count in 0..2000 {
            cache.put(format!("user{count}@a.test").as_bytes(), vec![b'x'; 100]);
        }
        cache.flush().await;
    });
    let good = fs::read(folder.path()).unwrap();
    let mut noisy = good.clone();
    noisy[8192..].fill(0xff);
    for bad in [b"Berkeley".to_vec(), good[..good.len() / 2].to_vec(), good[..4096].to_vec(), noisy] {
        fs::write(folder.path(), &bad).unwrap();
        let (cache, note) = folder.open().unwrap();
        let aside = folder.0.join("c.lmdb.damaged");
        assert!(note.ends_with(&format!(": put aside as {}, and begun anew", aside.display())), "{note}");
        assert_eq!(fs::read(&aside).unwrap(), bad);
        run(cache, |cache| async move {
            assert_eq!(get(&cache, "user1@a.test"), None);
            assert!(cache.put(b"user1@a.test", b"y".to_vec()));
            cache.flush().await;
            assert_eq!(get(&cache, "user1@a.test").as_deref(), Some("y"));
        });
    }
    // Empty is as good as not there.
    fs::write(folder.path(), b"").unwrap();
    assert_eq!(folder.open().unwrap().1, "");
}

#[test]
fn a_file_that_cannot_be_opened_is_told() {
    let folder = Folder::new("refused");
    fs::create_dir(folder.path()).unwrap();
    let why = folder.open().err().unwrap();
    assert!(why.starts_with("open database "), "{why}");
}
