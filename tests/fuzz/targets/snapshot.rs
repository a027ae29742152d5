//! A snapshot's content: what it says of itself, read from any file that is bbolt at all.

use portunus::backup::status;
use portunus::bbolt::Database;

pub fn run(data: &[u8]) {
    let Ok(file) = Database::open(data.to_vec()) else { return };
    if let Ok(said) = status(&file) {
        assert!(said.revision >= 0, "{}", said.revision);
    }
}
