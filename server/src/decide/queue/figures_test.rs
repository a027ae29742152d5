//! What a dequeue costs by itself: as much of 100,000 waiting items as of 100. Run by hand, see
//! docs/benchmarks.md: `cargo test --release -p portunus queue::figures -- --ignored --nocapture`.

use portunus_proto::portunus::v1::{
    QueueAsk, QueueDequeueRequest, QueueEnqueueRequest, QueueNewItem, queue_ask::Ask,
};

use crate::clock::Clock;
use crate::decide::Request;
use crate::decide::stepper::Stepper;

const TAKEN: u32 = 1000;

fn ask(ask: Ask) -> Request {
    Request::Queue(QueueAsk { ask: Some(ask), ..Default::default() })
}

#[test]
#[ignore = "a figure for people"]
fn a_dequeue_of_a_long_queue() {
    for waiting in [TAKEN as usize + 100, 10_000, 100_000] {
        let mut world = Stepper::new();
        world.grant(1);
        for _ in 0..waiting / 100 {
            let items = vec![QueueNewItem { payload: "x".into(), ..Default::default() }; 100];
            let request = QueueEnqueueRequest { queue: "q".into(), items, wait: false };
            world.tell(ask(Ask::Enqueue(request))).unwrap();
        }
        let clock = Clock::system();
        let begun = clock.now();
        for _ in 0..TAKEN {
            let request = QueueDequeueRequest { queue: "q".into(), lease: 1, ..Default::default() };
            world.tell(ask(Ask::Dequeue(request))).unwrap();
        }
        println!("{waiting} waiting: {:?} for each dequeue", clock.now().since(begun) / TAKEN);
    }
}
