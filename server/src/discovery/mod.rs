//! Finding the members of a cluster that is about to be founded, where nobody has listed them: in
//! DNS ([`srv`]), or at another cluster where each of them signs on ([`registry`]). Both give the
//! text of `--initial-cluster`; what is done with it is the caller's.

pub mod registry;
pub mod srv;
