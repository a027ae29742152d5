//! Locks, elections and queues of the real program, through their services and through the clients
//! that do the same with plain transactions.

mod admission;
mod admission_failover;
mod composed;
mod elections;
mod etcdctl;
mod fixture;
mod held;
mod line;
mod locks;
mod primitives;
mod queues;
