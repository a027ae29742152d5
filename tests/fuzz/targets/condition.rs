//! A queue's condition: a mistake lies within the text.

use portunus::decide::queue::condition::parse;

pub fn run(data: &[u8]) {
    match parse(data) {
        Ok(condition) => {
            // What is asked of every condition that is put.
            let _ = (condition.plugin(), condition.size());
        }
        Err(mistake) => assert!(mistake.at <= data.len(), "{mistake:?}"),
    }
}
