//! The real program under faults: processes killed, stopped and cut off, disks damaged and full,
//! while clients go on. One file per area; what clients do meanwhile is in `load`.

mod bootstrap;
mod chaos;
mod corruption;
mod damage;
mod discovery;
mod failover;
mod growing;
mod joining;
mod lagging;
mod learners;
mod leases;
mod load;
mod room;
mod shutdown;
mod single;
mod snapshot;
mod together;
mod turn;
mod watchers;
mod watches;
