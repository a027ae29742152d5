//! A read-write lock: shared requests hold it together, an exclusive one alone. A writer that waits
//! is not starved: readers that come after it wait behind it.
//!
//! It has no settings. The mode is the request's own: `portunus lock --shared` reads.
//!
//! ```sh
//! portunus plugin deploy builtin:read-write --lock-admission tables/
//! portunus lock tables/orders --shared -- ./report
//! ```

use portunus_sdk::prelude::*;

#[lock_admission]
fn read_write(_cx: &Context, lock: &Lock) -> Admission {
    let fits = match lock.place().mode {
        LockMode::Shared => lock.holders().iter().all(|holder| holder.mode == LockMode::Shared),
        LockMode::Exclusive => lock.holders().is_empty(),
        LockMode::Permits => {
            return Admission::refuse("a read-write lock has no permits; ask shared or exclusive");
        }
    };
    // A reader before this one would hold by now, or waits for a writer before it.
    if lock.is_next() && fits { Admit } else { Wait }
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, LockCall, Plugin};

    use super::read_write;

    fn deployed() -> (Cluster, Client) {
        let cluster = Cluster::new();
        cluster.deploy(Plugin::new("read-write").under("t/").lock_admission(read_write));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn read(client: &Client) -> LockCall {
        client.lock("t/a").shared().acquire()
    }

    fn write(client: &Client) -> LockCall {
        client.lock("t/a").acquire()
    }

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let (cluster, client) = deployed();
        let (one, two) = (read(&client), read(&client));
        assert!(one.is_held() && two.is_held());
        let writer = write(&client);
        one.release();
        cluster.settle();
        assert!(writer.is_waiting());
        two.release();
        cluster.settle();
        assert!(writer.is_held());
        assert!(read(&client).is_waiting() && write(&client).is_waiting());
    }

    #[test]
    fn a_stream_of_readers_does_not_starve_a_writer() {
        let (cluster, client) = deployed();
        let mut reading = read(&client);
        let writer = write(&client);
        for _ in 0..5 {
            let next = read(&client);
            assert!(next.is_waiting(), "it came after the writer");
            next.release();
        }
        let later = [read(&client), read(&client)];
        let writer_after = write(&client);
        let last = read(&client);
        reading.release();
        cluster.settle();
        assert!(writer.is_held() && later.iter().all(LockCall::is_waiting));
        writer.release();
        cluster.settle();
        assert!(later.iter().all(LockCall::is_held), "one after the other, in one go");
        assert!(writer_after.is_waiting() && last.is_waiting());
        reading = read(&client);
        assert!(reading.is_waiting());
    }

    #[test]
    fn a_writer_that_gives_up_lets_the_readers_behind_it_in() {
        let (cluster, client) = deployed();
        let reading = read(&client);
        let writer = write(&client);
        let behind = read(&client);
        writer.expire();
        assert!(behind.is_woken() && !reading.is_woken());
        cluster.settle();
        assert!(behind.is_held() && reading.is_held());
    }

    #[test]
    fn permits_are_another_kind_of_lock() {
        let (_, client) = deployed();
        let refused = client.lock("t/a").permits(2).acquire().token().expect_err("refused");
        assert!(refused.to_string().contains("has no permits"), "{refused}");
    }
}
