//! Laws of mail for a destination that is known to be dead.

use ipc::qmgr::Moment;
use queue::Stamp;

use super::*;

const PATIENT: &str = "maximal_queue_lifetime = 3000w\ninitial_destination_concurrency = 1";
const SUSPENDED: &str = "defer 1: 4.4.1 delivery temporarily suspended: connection refused";

/// Has a destination found dead, and then gives it these messages; until all of them wait.
fn suspend(directory: &Directory, seen: &Shared, begin: impl FnOnce(&Rc<Qmgr>), count: usize) -> Vec<String> {
    let first = directory.message(&["down@one.test"]);
    let later = RefCell::new(Vec::new());
    let done = || {
        if directory.queue_of(&first) == Some("deferred") && later.borrow().is_empty() {
            *later.borrow_mut() = (0..count).map(|_| directory.message(&["a@one.test", "b@one.test"])).collect();
        }
        let later = later.borrow();
        !later.is_empty() && later.iter().all(|id| directory.queue_of(id) == Some("deferred"))
    };
    let begin = |qmgr: &Rc<Qmgr>| {
        rescan(qmgr);
        begin(qmgr);
    };
    run(PATIENT, seen, begin, done);
    later.into_inner()
}

#[test]
fn many_messages_are_deferred_without_their_files_and_each_recipient_once() {
    let (directory, seen) = (Directory::new("suspended"), Shared::default());
    suspend(&directory, &seen, |_| {}, 250);
    let logs = seen.borrow().logs.clone();
    assert_eq!(
        (logs.len(), logs.iter().filter(|log| log.starts_with("defer 2: 4.4.1 delivery temp")).count()),
        (251, 250)
    );
    assert_eq!(seen.borrow().deliveries.iter().map(Vec::len).sum::<usize>(), 501);
}

#[test]
fn an_agent_that_wants_files_gets_them_one_by_one() {
    let (directory, seen) = (Directory::new("one-by-one"), Shared::default());
    let asked = Rc::clone(&seen);
    let replace_agent = move |_: &Rc<Qmgr>| {
        fs::remove_file("private/retry").unwrap();
        serve_agent("retry", move |channel, request| {
            let file = fs::File::from(channel.take_descriptor()?);
            agent(&asked, "retry", Some(file), request)
        });
    };
    suspend(&directory, &seen, replace_agent, 30);
    assert_eq!(seen.borrow().deliveries.iter().map(Vec::len).sum::<usize>(), 61);
}

#[test]
fn what_an_earlier_attempt_has_recorded_stands_until_it_is_replaced_and_never_beside_a_delivery() {
    let (directory, seen) = (Directory::new("former"), Shared::default());
    let text = b"\nrecipient=a@one.test\nreason=of an earlier attempt\n\n";
    let dead = RefCell::new(None);
    let first = directory.message(&["down@one.test"]);
    let defer_log = |id: &str| fs::read(log_of(id)).unwrap_or_default();
    let done = || {
        if directory.queue_of(&first) == Some("deferred") && dead.borrow().is_none() {
            let ids = [directory.message(&["a@one.test"]), directory.message(&["wait@two.test"])];
            for id in &ids {
                fs::create_dir_all(format!("defer/{}", &id[..1])).unwrap();
                fs::write(log_of(id), text).unwrap();
            }
            *dead.borrow_mut() = Some(ids);
        }
        dead.borrow().as_ref().is_some_and(|ids| ids.iter().all(|id| directory.queue_of(id) == Some("deferred")))
    };
    run(PATIENT, &seen, rescan, done);
    let [suspended, tried] = dead.into_inner().unwrap();
    // The services of these laws write no logs; what is there is what the queue manager has left.
    assert_eq!(defer_log(&suspended), text);
    assert!(defer_log(&tried).is_empty());
    assert!(seen.borrow().logs.iter().any(|log| log == SUSPENDED));
}

#[test]
fn what_was_deferred_is_known_for_lists_with_the_stamps_of_its_files_and_only_with_its_log() {
    let (directory, seen) = (Directory::new("known"), Shared::default());
    let kept = Rc::new(RefCell::new(None));
    let qmgr = Rc::clone(&kept);
    let begin = move |new: &Rc<Qmgr>| {
        *qmgr.borrow_mut() = Some(Rc::clone(new));
        fs::remove_file("private/defer").unwrap();
        serve::<Bounce>("defer", |_, request| {
            let BounceRequest::Append { queue_id, records, .. } = request else { return None };
            // The first message of all was tried alone; its log is lost.
            if records.items().len() == 2 {
                fs::create_dir_all(format!("defer/{}", &queue_id.as_str()[..1])).unwrap();
                fs::write(log_of(queue_id.as_str()), b"text").unwrap();
            }
            Some(BounceReply::Done)
        });
    };
    let mut ids = suspend(&directory, &seen, begin, 3);
    let qmgr = kept.borrow().clone().unwrap();
    let mut known: Vec<_> = qmgr.index.after(Moment::default()).0.into_iter().flatten().collect();
    known.sort_by_key(|message| message.queue_id.to_string());
    ids.sort();
    assert_eq!(known.iter().map(|message| message.queue_id.to_string()).collect::<Vec<_>>(), ids);
    for (message, id) in known.iter().zip(&ids) {
        let file = fs::metadata(spool().path(QueueName::Deferred, &message.queue_id)).unwrap();
        assert_eq!((message.file, message.log), (Stamp::of(&file), Stamp::of(&fs::metadata(log_of(id)).unwrap())));
        let has = |text: &[u8]| message.text.windows(text.len()).any(|part| part == text);
        assert!(has(b"alice@example.test") && has(b"a@one.test") && has(b"b@one.test") && has(b"refused"));
    }
}

fn log_of(id: &str) -> String {
    format!("defer/{}/{id}", &id[..1])
}
