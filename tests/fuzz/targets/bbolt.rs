//! A bbolt file: whatever it holds, reading it ends, and what was checked can be read.

use portunus::bbolt::Database;

pub fn run(data: &[u8]) {
    let Ok(file) = Database::open(data.to_vec()) else { return };
    let is_sound = file.check().is_ok();
    let Ok(buckets) = file.buckets() else {
        assert!(!is_sound, "the buckets of a sound file can be listed");
        return;
    };
    for (_, bucket) in buckets {
        let whole = file.entries(&bucket).all(|entry| entry.is_ok());
        assert!(whole || !is_sound, "the entries of a sound file can be read");
    }
}
