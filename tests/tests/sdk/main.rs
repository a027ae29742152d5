//! What plugin authors build on, from their side: the SDK's own tests, the first-party plugins'
//! tests, the crate that `plugin new` writes, and how large guests become.

mod nested;
mod size;
mod suites;
mod template;
