//! Laws of a start: what a program demands of its master.cf entry, when it ends by itself, where its log is.

use super::*;
use crate::service::{Network, Privilege};

/// A service of this kind.
pub(crate) const fn service(skeleton: Skeleton, lifetime: Lifetime) -> Service {
    Service {
        name: "probe",
        skeleton,
        lifetime,
        privilege: Privilege::MailOwner,
        why: "",
        siblings: &[],
        files: &[],
        outside: &[],
        network: Network::None,
        threads: false,
    }
}

fn arguments(line: &[&str]) -> Arguments {
    Arguments::parse(line.iter().map(std::ffi::OsString::from)).unwrap()
}

/// What a worker of the service knows, with these settings and so many places.
pub(crate) fn context_of(service: &'static Service, main_cf: &str, session_limit: usize) -> Context {
    let config = Config::parse(main_cf.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
    let context = context(service, config, &arguments(&[]), "/q".into(), None).unwrap();
    Context { session_limit, ..context }
}

#[test]
fn a_program_refuses_a_process_limit_that_is_not_its_own() {
    let refused = |skeleton, line: &[&str]| {
        let service = service(skeleton, Lifetime::Limited);
        check(&service, &arguments(line)).err().map(|error| error.to_string())
    };
    let one = Some("service x requires a process limit of 1".to_owned());
    for skeleton in [Skeleton::Solitary, Skeleton::Trigger, Skeleton::Datagram] {
        assert_eq!(refused(skeleton, &["-n", "x", "-t", "unix"]), one, "{skeleton:?}");
        assert_eq!(refused(skeleton, &["-n", "x", "-t", "unix", "-l"]), None, "{skeleton:?}");
    }
    let none = Some("service probe requires a process limit of 0".to_owned());
    assert_eq!(refused(Skeleton::Unlimited, &["-t", "unix", "-l"]), none);
    assert_eq!(refused(Skeleton::Unlimited, &["-t", "unix", "-z"]), None);
    assert_eq!(refused(Skeleton::Sessions, &["-t", "inet"]), None);
}

#[test]
fn a_program_says_which_transport_it_does_not_serve() {
    let service = service(Skeleton::Sessions, Lifetime::Limited);
    let refused = |line: &[&str]| check(&service, &arguments(line)).err().map(|error| error.to_string());
    assert_eq!(refused(&[]).as_deref(), Some("no transport type specified"));
    assert_eq!(refused(&["-t", "fifo"]).as_deref(), Some("unsupported transport type: fifo"));
    assert_eq!(refused(&["-S"]), None);
}

#[test]
fn a_worker_with_many_places_serves_as_many_clients_a_place_as_one_with_a_single_one() {
    static LIMITED: Service = service(Skeleton::Sessions, Lifetime::Limited);
    let limits = |places| limits(&context_of(&LIMITED, "max_use = 30\nmax_idle = 7s\n", places)).unwrap();
    assert_eq!((limits(1).max_use, limits(100).max_use), (30, 3000));
    assert_eq!(limits(usize::MAX).max_use, u64::MAX);
    assert_eq!(limits(100).max_idle, Duration::from_secs(7));
}

#[test]
fn what_a_process_knows_decides_how_long_it_stays() {
    static REMEMBERS: Service = service(Skeleton::Solitary, Lifetime::Remembers(param::ANVIL_RATE_TIME_UNIT));
    static ENDLESS: Service = service(Skeleton::Trigger, Lifetime::Endless);
    let limits = |service, main_cf: &str| {
        let Limits { max_idle, max_use } = limits(&context_of(service, main_cf, 10)).unwrap();
        (max_idle.as_secs(), max_use)
    };
    assert_eq!(limits(&REMEMBERS, "max_idle = 7s\nanvil_rate_time_unit = 60s\n"), (60, 0));
    assert_eq!(limits(&REMEMBERS, "max_idle = 90s\nanvil_rate_time_unit = 60s\n"), (90, 0));
    assert_eq!(limits(&ENDLESS, "max_idle = 7s\nmax_use = 3\n"), (0, 0));
}

#[test]
fn the_log_service_is_reached_from_within_the_queue_directory() {
    let setup = |path: &str| {
        let destination = logging::Destination::Postlog(path.into(), logging::Format::default());
        logging::Setup { destinations: vec![destination], ..logging::Setup::default() }
    };
    let found = |path: &str| match &below(Path::new("/var/q"), setup(path)).destinations[0] {
        logging::Destination::Postlog(path, _) => path.clone(),
        _ => PathBuf::new(),
    };
    assert_eq!(found("/var/q/public/postlog"), Path::new("public/postlog"));
    assert_eq!(found("/var/queue/public/postlog"), Path::new("/var/queue/public/postlog"));
}

#[test]
fn an_inherited_file_is_read_whole_wherever_another_worker_has_stopped_reading_it() {
    use std::io::Read;
    let path = std::env::temp_dir().join(format!("daemon-start-{}", std::process::id()));
    std::fs::write(&path, b"first\nsecond\n").unwrap();
    let mut file = std::fs::File::options().read(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.read_exact(&mut [0; 6]).unwrap();
    let inherited = std::os::fd::IntoRawFd::into_raw_fd(file.try_clone().unwrap());
    assert_eq!(read_whole(inherited).unwrap(), b"first\nsecond\n");
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"second\n");
}
