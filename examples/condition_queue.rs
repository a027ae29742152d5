//! The queue that runs when its condition holds, in its three forms: so many items are ready, what
//! must come first is done, and a control program gives its word. Any client puts the condition.

use anyhow::{Context, Result};
use etcd_client::Client;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    QueueAckRequest, QueueDequeueRequest, QueueEnqueueRequest, QueueExplainRequest, QueueNewItem,
};
use tonic::transport::Channel;

const SMALL: &str = "examples/queue/small";
const BIG: &str = "examples/queue/big";
const NIGHT: &str = "examples/queue/night";

struct Queue(QueueClient<Channel>);

impl Queue {
    async fn put(&mut self, queue: &'static str, what: &str) -> Result<()> {
        let item = QueueNewItem { payload: what.to_owned().into(), ..Default::default() };
        let request = QueueEnqueueRequest { queue: queue.into(), items: vec![item], wait: false };
        self.0.enqueue(request).await?;
        let explain = QueueExplainRequest { queue: queue.into() };
        let why = self.0.explain(explain).await?.into_inner();
        println!("{what} is in {queue}; it waits for {:?}", why.waits_for);
        Ok(())
    }

    /// Waits for an item, and says that it is done.
    async fn work(&mut self, queue: &'static str) -> Result<()> {
        let taking = QueueDequeueRequest { queue: queue.into(), wait: true, ..Default::default() };
        let mut taken = self.0.dequeue(taking).await?.into_inner().deliveries;
        let delivery = taken.pop().context("an item")?;
        println!("{} is done", String::from_utf8_lossy(&delivery.item.context("it")?.payload));
        let claims = delivery.claim.into_iter().collect();
        self.0.ack(QueueAckRequest { queue: queue.into(), claims, txn: None }).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut etcd: Client = portunus_examples::begin("examples/queue/").await?;
    let mut queue = Queue(QueueClient::new(portunus_examples::channel().await?));
    let after = format!("after {SMALL}");
    let word = "key examples/queue/word = go";
    for (name, condition) in [(SMALL, "size>=3"), (BIG, &after), (NIGHT, word)] {
        etcd.put(format!("{name}/condition"), condition, None).await?;
    }
    queue.put(BIG, "the big task").await?;
    for part in ["part 1", "part 2", "part 3"] {
        queue.put(SMALL, part).await?;
    }
    for name in [SMALL, SMALL, SMALL, BIG] {
        queue.work(name).await?;
    }
    queue.put(NIGHT, "the night's task").await?;
    etcd.put("examples/queue/word", "go", None).await?;
    queue.work(NIGHT).await
}
