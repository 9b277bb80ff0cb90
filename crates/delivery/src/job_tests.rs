//! Laws of a job: what is marked, what is not, what is reported.

use std::os::unix::fs::FileExt;

use queue::{QueueId, Trace};

use super::*;

const SENT: Status = Status::new(2, 0, 0);
const UNKNOWN: Status = Status::new(5, 1, 1);

/// A job on a file whose recipient records are single type bytes.
fn job(trace: Trace, settings: Settings) -> Job {
    let path = std::env::temp_dir().join(format!("job-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::write(&path, b"xRRR").unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let recipients = (1..=3)
        .map(|offset| Recipient { address: format!("r{offset}@a.test").into_bytes(), offset, ..Recipient::default() })
        .collect();
    let request = Request { trace, recipients, ..Request::new(QueueId::parse(b"Q").unwrap()) };
    Job::new(request, file, Rc::new(settings))
}

fn marks(job: &Job) -> String {
    let mut bytes = [0; 4];
    job.file().read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn only_delivered_recipients_are_marked() {
    let mut job = job(Trace::default(), Settings::default());
    job.finish(0, &Finding::sent(SENT, "delivered", "local"));
    job.finish(1, &Finding::bounced(UNKNOWN, "unknown user", "local"));
    assert_eq!(marks(&job), "xDRR");
    let report = job.into_report();
    let verdicts: Vec<Verdict> = report.outcomes.iter().map(|outcome| outcome.verdict).collect();
    assert_eq!(verdicts, [Verdict::Sent, Verdict::Bounced, Verdict::Deferred]);
    assert_eq!((report.outcomes[0].action, report.outcomes[1].action), (Some(Action::Delivered), None));
}

#[test]
fn the_first_finding_counts() {
    let mut job = job(Trace::default(), Settings::default());
    job.finish(0, &Finding::deferred(UNKNOWN, "later", "none"));
    job.finish(0, &Finding::sent(SENT, "delivered", "none"));
    assert_eq!(marks(&job), "xRRR");
    assert_eq!(job.into_report().outcomes[0].status, Status::new(4, 1, 1));
}

#[test]
fn a_probe_marks_nothing_and_never_fails() {
    let mut job = job(Trace::USER_VERIFY, Settings::default());
    job.finish(0, &Finding::sent(SENT, "delivers to mailbox", "local"));
    job.finish(1, &Finding::bounced(UNKNOWN, "unknown user", "local"));
    assert_eq!(marks(&job), "xRRR");
    let report = job.into_report();
    assert!(report.outcomes.iter().all(|outcome| outcome.verdict == Verdict::Sent));
    assert_eq!(report.outcomes[0].action, Some(Action::Deliverable));
    assert_eq!((report.outcomes[1].action, report.outcomes[1].status), (Some(Action::Undeliverable), UNKNOWN));
}

#[test]
fn soft_bounce_defers_what_would_fail() {
    let mut job = job(Trace::default(), Settings { soft_bounce: true, ..Settings::default() });
    job.finish(0, &Finding::bounced(UNKNOWN, "unknown user", "local"));
    let report = job.into_report();
    assert_eq!((report.outcomes[0].verdict, report.outcomes[0].status), (Verdict::Deferred, Status::new(4, 1, 1)));
}
