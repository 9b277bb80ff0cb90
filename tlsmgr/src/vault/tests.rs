//! Files with keys, through a keeper in a thread: what is used, and what is refused.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use ipc::tlsmgr::{Files, Reply};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;
use crate::keeper;

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tlsmgr-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// Puts a file in the place of another, as programs that renew certificates do.
    fn replace(&self, name: &str, content: &str) {
        std::fs::write(self.path("new"), content).unwrap();
        std::fs::rename(self.path("new"), self.path(name)).unwrap();
    }
}

fn key_and_certificate(expired: bool) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["mx.test".to_owned()]).unwrap();
    if expired {
        parameters.not_before = date_time_ymd(2001, 1, 1);
        parameters.not_after = date_time_ymd(2002, 1, 1);
    }
    (key.serialize_pem(), parameters.self_signed(&key).unwrap().pem())
}

fn run<F: Future<Output = ()>>(rights: Rights, test: impl FnOnce(Rc<Vault>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let vault = Rc::new(Vault::new(keeper::in_a_thread(&rights), rights));
        let listener = Rc::clone(&vault);
        tokio::task::spawn_local(async move { listener.listen().await });
        test(vault).await;
    });
}

impl Vault {
    /// As if a second had passed.
    fn age(&self) {
        for state in self.loaded.borrow_mut().values_mut() {
            state.looked = Instant::now().checked_sub(FRESH).unwrap();
        }
    }
}

fn used(reply: Reply) -> Certificates {
    match reply {
        Reply::Certificates(found) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_renewed_certificate_is_used_and_one_that_is_broken_is_not() {
    let folder = Folder::new("renewed");
    let (key, certificate) = key_and_certificate(false);
    folder.replace("chain.pem", &format!("{key}{certificate}"));
    let files = Files::Chains(vec![folder.path("chain.pem")]);
    let rights = Rights { sets: vec![files.clone()], paths: vec![folder.path("chain.pem")], names: Vec::new() };
    run(rights, async |vault| {
        let first = used(vault.certificates(&files, 0).await);
        assert_eq!(vault.certificates(&files, first.serial).await, Reply::Unchanged);
        assert!(vault.key(first.pairs[0].key).unwrap().sign(0x0403, b"message").is_ok());
        let (other, fresh) = key_and_certificate(false);
        for bad in [certificate.clone(), format!("{key}{fresh}"), "junk".to_owned()] {
            folder.replace("chain.pem", &bad);
            vault.age();
            assert_eq!(vault.certificates(&files, first.serial).await, Reply::Unchanged, "{bad}");
        }
        let (old_key, old) = key_and_certificate(true);
        folder.replace("chain.pem", &format!("{old_key}{old}"));
        vault.age();
        assert_eq!(vault.certificates(&files, first.serial).await, Reply::Unchanged);
        std::fs::remove_file(folder.path("chain.pem")).unwrap();
        vault.age();
        assert_eq!(vault.certificates(&files, first.serial).await, Reply::Unchanged);
        folder.replace("chain.pem", &format!("{other}{fresh}"));
        vault.age();
        let second = used(vault.certificates(&files, first.serial).await);
        assert_ne!(second.pairs[0].key, first.pairs[0].key);
        // Handshakes that have begun end with the key that they began with.
        assert!(vault.key(first.pairs[0].key).is_some());
    });
}

#[test]
fn an_expired_certificate_is_used_where_there_is_no_other() {
    let folder = Folder::new("expired");
    let (key, certificate) = key_and_certificate(true);
    folder.replace("chain.pem", &format!("{key}{certificate}"));
    let files = Files::Chains(vec![folder.path("chain.pem")]);
    let rights = Rights { sets: vec![files.clone()], paths: vec![folder.path("chain.pem")], names: Vec::new() };
    run(rights, async |vault| {
        assert_eq!(used(vault.certificates(&files, 0).await).pairs.len(), 1);
    });
}

#[test]
fn files_that_nobody_has_configured_are_not_opened() {
    let folder = Folder::new("foreign");
    let (key, certificate) = key_and_certificate(false);
    folder.replace("chain.pem", &format!("{key}{certificate}"));
    run(Rights::default(), async |vault| {
        let files = Files::Chains(vec![folder.path("chain.pem")]);
        assert!(matches!(vault.certificates(&files, 0).await, Reply::Unusable(_)));
        let (reply, file) = vault.ask(&Request::File(0)).await.unwrap();
        assert!(matches!(reply, packet::Reply::Failed(_)) && file.is_none());
    });
}

#[test]
fn server_names_lead_to_files_or_to_what_the_table_holds() {
    let folder = Folder::new("names");
    let (key, certificate) = key_and_certificate(false);
    folder.replace("a.pem", &format!("{key}{certificate}"));
    let path = folder.path("a.pem");
    let maps = format!("inline:{{ {{a.test={path}}}, {{.b.test={path}}}, {{c.test=/nonexistent}} }}");
    run(Rights { names: vec![maps.clone()], ..Rights::default() }, async |vault| {
        let first = used(vault.of_name(&maps, "a.test").await);
        assert_eq!((first.pairs.len(), used(vault.of_name(&maps, "a.test").await).serial), (1, first.serial));
        let (other, fresh) = key_and_certificate(false);
        folder.replace("a.pem", &format!("{other}{fresh}"));
        assert_ne!(used(vault.of_name(&maps, "a.test").await).pairs[0].key, first.pairs[0].key);
        assert_eq!(used(vault.of_name(&maps, "x.y.b.test").await).pairs.len(), 1);
        assert_eq!(vault.of_name(&maps, "b.test").await, Reply::NoSuchName);
        let missing = Reply::Unusable(vec!["open /nonexistent: No such file or directory".to_owned()]);
        assert_eq!(vault.of_name(&maps, "c.test").await, missing);
        assert!(matches!(vault.of_name("inline:{x=y}", "a.test").await, Reply::Unusable(_)));
    });
}

#[test]
fn a_key_that_is_in_use_is_never_one_of_those_that_are_too_many() {
    let folder = Folder::new("many");
    let files = |name: &str| Files::Chains(vec![folder.path(name)]);
    for name in ["first.pem", "second.pem"] {
        let (key, certificate) = key_and_certificate(false);
        folder.replace(name, &format!("{key}{certificate}"));
    }
    let sets = vec![files("first.pem"), files("second.pem")];
    let rights = Rights { sets, paths: vec![folder.path("first.pem"), folder.path("second.pem")], names: Vec::new() };
    run(rights, async |vault| {
        let first = used(vault.certificates(&files("first.pem"), 0).await).pairs[0].key;
        let key = vault.key(first).unwrap();
        for number in 0..MOST_OLD {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(number as u64).to_le_bytes());
            vault.keys.borrow_mut().insert(KeyId(id), Held { key: key.clone(), since: Instant::now() });
        }
        let second = used(vault.certificates(&files("second.pem"), 0).await).pairs[0].key;
        assert_eq!(vault.keys.borrow().len(), MOST_OLD);
        assert!(vault.key(first).is_some() && vault.key(second).is_some());
    });
}

#[test]
fn a_pipe_in_the_place_of_a_key_file_is_refused_at_once() {
    let folder = Folder::new("pipe");
    nix::unistd::mkfifo(Path::new(&folder.path("chain.pem")), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let files = Files::Chains(vec![folder.path("chain.pem")]);
    let rights = Rights { sets: vec![files.clone()], paths: vec![folder.path("chain.pem")], names: Vec::new() };
    run(rights, async |vault| {
        assert!(matches!(vault.certificates(&files, 0).await, Reply::Unusable(_)));
    });
}
