//! Laws of the scheduler as a whole.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::limits::defaults;
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Here a recipient is a number.
type Transport = super::Transport<u64>;

fn recipients(first: u64, count: u64) -> Vec<u64> {
    (first..first + count).collect()
}

fn refused() -> HostFailure {
    HostFailure { status: dsn::Status::new(4, 4, 1), text: b"refused".to_vec() }
}

fn transport(change: impl FnOnce(&mut Limits)) -> Transport {
    let mut limits = defaults();
    change(&mut limits);
    Transport::new(b"smtp", limits)
}

/// A message for a destination.
fn assign(transport: &mut Transport, message: u64, host: &str, recipients: Vec<u64>, now: Instant) {
    transport.assign(MessageKey(message), host.into(), host.as_bytes(), recipients, now);
}

fn drain(transport: &mut Transport, now: Instant) -> Vec<u64> {
    let mut order = Vec::new();
    while let Some(delivery) = transport.select(now) {
        order.push(delivery.message.0);
        transport.finish(&delivery, &Verdict::Reached, MINUTE, now);
    }
    order
}

#[test]
fn messages_are_delivered_in_the_order_of_their_arrival() {
    let now = Instant::now();
    let mut smtp = transport(|_| {});
    for message in 0..10 {
        assign(&mut smtp, message, "a.test", recipients(0, 1), now);
    }
    assert_eq!(drain(&mut smtp, now), (0..10).collect::<Vec<_>>());
    assert!(!smtp.has_work());
    assert_eq!(smtp.recipients_in_memory(), 0);
}

#[test]
fn no_more_deliveries_run_than_the_window_allows() {
    let now = Instant::now();
    let mut smtp = transport(|_| {});
    for message in 0..10 {
        assign(&mut smtp, message, "a.test", recipients(0, 1), now);
    }
    let running: Vec<Delivery<u64>> = std::iter::from_fn(|| smtp.select(now)).collect();
    assert_eq!(running.len(), 5); // initial_destination_concurrency
    smtp.finish(&running[0], &Verdict::Reached, MINUTE, now);
    assert_eq!(std::iter::from_fn(|| smtp.select(now)).count(), 2, "one freed, one learnt");
}

#[test]
fn a_full_destination_does_not_hold_up_another() {
    let now = Instant::now();
    let mut smtp = transport(|limits| limits.concurrency = 1);
    for message in 0..10 {
        assign(&mut smtp, message, "slow.test", recipients(0, 1), now);
    }
    assign(&mut smtp, 10, "fast.test", recipients(0, 1), now);
    let order: Vec<u64> = std::iter::from_fn(|| smtp.select(now)).map(|d| d.message.0).collect();
    assert_eq!(order, [0, 10]);
}

#[test]
fn recipients_of_one_destination_share_deliveries_up_to_the_recipient_limit() {
    let now = Instant::now();
    let mut smtp = transport(|_| {});
    assign(&mut smtp, 1, "a.test", recipients(0, 120), now);
    let sizes: Vec<usize> = std::iter::from_fn(|| smtp.select(now)).map(|d| d.recipients.len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
}

#[test]
fn destinations_of_one_message_are_served_in_turn() {
    let now = Instant::now();
    let mut smtp = transport(|limits| limits.recipients = 1);
    for host in ["a", "b"] {
        assign(&mut smtp, 1, host, recipients(0, 3), now);
    }
    let hosts: Vec<Vec<u8>> = std::iter::from_fn(|| smtp.select(now)).map(|d| d.nexthop).collect();
    assert_eq!(hosts, [b"a", b"b", b"a", b"b", b"a", b"b"]);
}

#[test]
fn a_small_message_overtakes_a_big_one_that_earned_enough_slots() {
    let now = Instant::now();
    let mut local = transport(|limits| limits.recipients = 1);
    assign(&mut local, 1, "list", recipients(0, 1000), now);
    assign(&mut local, 2, "one", recipients(0, 1), now);
    let order = drain(&mut local, now);
    let place = order.iter().position(|message| *message == 2).unwrap();
    assert!(place <= 2, "overtook at {place}");
    assert_eq!(order.len(), 1001);
}

#[test]
fn overtaking_slows_the_big_message_by_a_bounded_factor() {
    let now = Instant::now();
    let mut local = transport(|limits| (limits.recipients, limits.slot_loan, limits.slot_discount) = (1, 0, 0));
    assign(&mut local, 0, "list", recipients(0, 1000), now);
    for message in 1..1000 {
        assign(&mut local, message, "one", recipients(0, 1), now);
    }
    let order = drain(&mut local, now);
    let last = order.iter().rposition(|message| *message == 0).unwrap();
    assert!(last <= 1000 * 5 / 4 + 1, "finished at {last}");
}

#[test]
fn nobody_overtakes_when_the_slot_cost_is_zero() {
    let now = Instant::now();
    let mut local = transport(|limits| (limits.recipients, limits.slot_cost) = (1, 0));
    assign(&mut local, 1, "list", recipients(0, 100), now);
    assign(&mut local, 2, "one", recipients(0, 1), now);
    assert_eq!(drain(&mut local, now).last(), Some(&2));
}

#[test]
fn a_dead_destination_returns_what_waits_and_takes_nothing_until_its_time_is_over() {
    let now = Instant::now();
    let mut smtp = transport(|limits| limits.initial_concurrency = 1);
    for message in 0..3 {
        assign(&mut smtp, message, "a.test", recipients(0, 1), now);
    }
    let first = smtp.select(now).unwrap();
    let returned = smtp.finish(&first, &Verdict::Failed(refused()), MINUTE, now);
    assert_eq!(returned.iter().map(|r| r.message.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(smtp.obstacle(b"a.test"), Some(&refused()));
    assert_eq!(smtp.obstacle(b"b.test"), None);
    assert_eq!(smtp.next_wake(), Some(now + MINUTE));
    smtp.wake(now + MINUTE);
    assert_eq!(smtp.obstacle(b"a.test"), None);
    assert_eq!(smtp.next_wake(), None);
}

#[test]
fn a_dead_transport_returns_everything_and_revives() {
    let now = Instant::now();
    let mut smtp = transport(|_| {});
    assign(&mut smtp, 1, "a.test", recipients(0, 1), now);
    assign(&mut smtp, 2, "b.test", recipients(0, 60), now);
    let returned = smtp.kill(refused(), now + MINUTE);
    assert_eq!(returned.iter().map(|r| r.recipients.len()).sum::<usize>(), 61);
    assert!(smtp.obstacle(b"c.test").is_some());
    smtp.revive();
    assert!(smtp.obstacle(b"c.test").is_none());
}

#[test]
fn a_rate_delay_of_the_transport_spaces_its_deliveries() {
    let now = Instant::now();
    let mut smtp = transport(|limits| limits.transport_delay = MINUTE);
    for message in 0..2 {
        assign(&mut smtp, message, "a.test", recipients(0, 1), now);
    }
    assert!(smtp.select(now).is_some());
    assert!(smtp.select(now).is_none());
    assert_eq!(smtp.next_wake(), Some(now + MINUTE));
    smtp.wake(now + MINUTE);
    assert!(smtp.select(now + MINUTE).is_some());
}

#[test]
fn the_oldest_message_with_unread_recipients_holds_the_recipient_slots() {
    let now = Instant::now();
    let mut smtp = transport(|_| {});
    for message in 1..3 {
        assign(&mut smtp, message, "a.test", recipients(0, 10), now);
        smtp.set_unread(MessageKey(message), 500);
    }
    assert_eq!(smtp.recipient_slots(MessageKey(1)), 20_000);
    assert_eq!(smtp.recipient_slots(MessageKey(2)), 0);
    smtp.set_unread(MessageKey(1), 0);
    assert_eq!(smtp.recipient_slots(MessageKey(1)), 10);
    assert_eq!(smtp.recipient_slots(MessageKey(2)), 19_990);
}

#[test]
fn a_message_that_overtakes_has_half_of_the_extra_slots_until_it_is_read() {
    let now = Instant::now();
    let mut local = transport(|limits| (limits.recipients, limits.extra_pool) = (1, 40));
    assign(&mut local, 1, "list", recipients(0, 1000), now);
    local.set_unread(MessageKey(1), 500);
    assign(&mut local, 2, "few", recipients(0, 4), now);
    local.set_unread(MessageKey(2), 1);
    assert_eq!(local.recipient_slots(MessageKey(2)), 0);
    let mut selected = std::iter::from_fn(|| {
        let delivery = local.select(now)?;
        local.finish(&delivery, &Verdict::Reached, MINUTE, now);
        Some(delivery.message)
    });
    assert!(selected.any(|message| message == MessageKey(2)));
    assert_eq!(local.recipient_slots(MessageKey(2)), 20);
    assert_eq!(local.recipient_slots(MessageKey(1)), 20_000);
    local.set_unread(MessageKey(2), 0);
    assert_eq!(local.recipient_slots(MessageKey(2)), 0);
}

#[test]
fn a_destination_that_clogs_the_queue_is_reported_once_an_interval() {
    let now = Instant::now();
    let mut smtp = transport(|limits| limits.recipients = 1);
    assign(&mut smtp, 1, "a.test", recipients(0, 30), now);
    assert_eq!(smtp.clogged(b"a.test", 20, MINUTE, now), Some(30));
    assert_eq!(smtp.clogged(b"a.test", 20, MINUTE, now), None);
    assert_eq!(smtp.clogged(b"a.test", 20, MINUTE, now + MINUTE), Some(30));
    assert_eq!(smtp.clogged(b"a.test", 30, MINUTE, now + MINUTE * 2), None);
}

#[derive(Debug, Clone)]
enum Step {
    Assign { message: u64, host: u8, count: u64 },
    Select,
    Finish { which: usize, fate: u8 },
    Kill,
    Wait(u64),
    Revive,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..6, 0u8..4, 1u64..30).prop_map(|(message, host, count)| Step::Assign { message, host, count }),
        8 => Just(Step::Select),
        6 => (any::<usize>(), 0u8..4).prop_map(|(which, fate)| Step::Finish { which, fate }),
        1 => Just(Step::Kill),
        2 => (0u64..90).prop_map(Step::Wait),
        1 => Just(Step::Revive),
    ]
}

proptest! {
    #[test]
    fn every_recipient_comes_out_exactly_once(
        steps in proptest::collection::vec(step(), 0..120),
        recipient_limit in 0u32..4, rate in 0u64..2,
    ) {
        let mut smtp = transport(|limits| {
            limits.recipients = recipient_limit;
            limits.destination_delay = Duration::from_secs(rate);
        });
        let mut now = Instant::now();
        let (mut next, mut out) = (0u64, HashSet::new());
        let mut running = Vec::new();
        let mut take = |recipients: &[u64]| recipients.iter().all(|r| out.insert(*r));
        for step in steps {
            match step {
                Step::Assign { message, host, count } => {
                    let host = vec![b'a' + host];
                    smtp.assign(MessageKey(message), host.clone(), &host, recipients(next, count), now);
                    next += count;
                }
                Step::Select => running.extend(smtp.select(now)),
                Step::Finish { which, fate } if !running.is_empty() => {
                    let delivery = running.swap_remove(which % running.len());
                    let verdict = match fate {
                        0 => Verdict::Failed(refused()),
                        1 => Verdict::Unknown,
                        _ => Verdict::Reached,
                    };
                    prop_assert!(take(&delivery.recipients));
                    for returned in smtp.finish(&delivery, &verdict, MINUTE, now) {
                        prop_assert!(take(&returned.recipients));
                    }
                }
                Step::Finish { .. } => {}
                Step::Kill => {
                    for returned in smtp.kill(refused(), now + MINUTE) {
                        prop_assert!(take(&returned.recipients));
                    }
                }
                Step::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    smtp.wake(now);
                }
                Step::Revive => smtp.revive(),
            }
        }
        for _ in 0..10_000 {
            now += MINUTE;
            smtp.wake(now);
            running.extend(std::iter::from_fn(|| smtp.select(now)));
            if running.is_empty() {
                break;
            }
            for delivery in running.drain(..) {
                prop_assert!(take(&delivery.recipients));
                smtp.finish(&delivery, &Verdict::Reached, MINUTE, now);
            }
        }
        prop_assert_eq!(out.len() as u64, next);
        prop_assert_eq!(smtp.recipients_in_memory(), 0);
    }
}
