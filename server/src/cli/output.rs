//! stdout, where a reader that has seen enough (`| head`) is not a failure.

use std::io::{self, Write};

/// Writes data a command was asked for.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
