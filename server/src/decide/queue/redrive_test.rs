//! Dead letters that come back: which, how many, in which order, and as what.

use portunus_proto::portunus::v1::{
    QueueAsk, QueueConfigureRequest, QueueDequeueRequest, QueueEnqueueRequest, QueueNackRequest,
    QueueNewItem, QueueRedriveRequest, QueueRedriveResponse, queue_ask::Ask, queue_said::Said,
};

use super::stats;
use crate::decide::stepper::Stepper;
use crate::decide::{QueueRefusal, Refusal, Reply, Request};

fn tell(world: &mut Stepper, ask: Ask) -> Result<Said, Refusal> {
    match world.tell(Request::Queue(QueueAsk { ask: Some(ask), ..Default::default() }))? {
        Reply::Queue(said) => Ok(said.said.expect("it says something")),
        other => panic!("{other:?}"),
    }
}

fn take(world: &mut Stepper, max: u32) -> Vec<portunus_proto::portunus::v1::QueueDelivery> {
    let request = QueueDequeueRequest { queue: "q".into(), max, lease: 1, ..Default::default() };
    match tell(world, Ask::Dequeue(request)) {
        Ok(Said::Dequeued(dequeued)) => dequeued.deliveries,
        other => panic!("{other:?}"),
    }
}

/// A queue whose items are all dead, the second of a higher priority.
fn world(items: usize) -> Stepper {
    let mut world = Stepper::new();
    world.grant(1);
    let item = |n| QueueNewItem { priority: u32::from(n == 1), ..QueueNewItem::default() };
    let items = (0..items).map(item).collect();
    let request = QueueEnqueueRequest { queue: "q".into(), items, wait: false };
    tell(&mut world, Ask::Enqueue(request)).unwrap();
    let claims = take(&mut world, 100).into_iter().filter_map(|it| it.claim).collect();
    let nack = QueueNackRequest { queue: "q".into(), claims, dead: true, ..Default::default() };
    tell(&mut world, Ask::Nack(nack)).unwrap();
    world
}

fn redrive(world: &mut Stepper, ids: &[u64], max: u32) -> Result<(u64, u64), Refusal> {
    let request = QueueRedriveRequest { queue: "q".into(), ids: ids.to_vec(), max };
    match tell(world, Ask::Redrive(request))? {
        Said::Redriven(QueueRedriveResponse { redriven, left, .. }) => Ok((redriven, left)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn they_come_back_to_their_places_as_if_never_delivered() {
    let mut world = world(3);
    assert_eq!(redrive(&mut world, &[], 0), Ok((3, 0)));
    let items: Vec<_> = take(&mut world, 9).into_iter().filter_map(|it| it.item).collect();
    let seen: Vec<_> = items.iter().map(|it| (it.id, it.attempts, &it.reason[..])).collect();
    assert_eq!(seen, [(2, 1, ""), (1, 1, ""), (3, 1, "")], "in order of priority and number");
    assert_eq!(redrive(&mut world, &[], 0), Ok((0, 0)), "none is dead");
}

#[test]
fn those_that_are_named_or_the_oldest() {
    let mut world = world(4);
    assert_eq!(redrive(&mut world, &[3, 99], 0), Ok((1, 3)));
    assert_eq!(redrive(&mut world, &[3], 0), Ok((0, 3)), "repeated");
    assert_eq!(redrive(&mut world, &[], 2), Ok((2, 1)));
    let ids: Vec<_> = take(&mut world, 9).iter().map(|it| it.item.as_ref().unwrap().id).collect();
    assert_eq!(ids, [2, 1, 3]);
    assert_eq!(stats(&world.head, b"q").unwrap().dead, 1);
}

#[test]
fn a_bounded_queue_takes_as_many_as_it_has_room_for() {
    let mut world = world(3);
    let config = Some("max-length 2".to_owned());
    let request = QueueConfigureRequest { queue: "q".into(), config, condition: None };
    tell(&mut world, Ask::Configure(request)).unwrap();
    assert_eq!(redrive(&mut world, &[], 0), Ok((2, 1)));
    let full = QueueRefusal::Full { queue: "q".into(), max: 2 };
    assert_eq!(redrive(&mut world, &[], 0), Err(Refusal::Queue(full)));
    take(&mut world, 1);
    assert_eq!(redrive(&mut world, &[], 0), Ok((1, 0)));
}
