//! What one call may use, counted as the server does. Time and memory are not among them: natively
//! neither says anything about the guest.

/// The limits of a plugin's bindings. Those that are not given are the server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Keys looked at: one for each read, and one for each item that it returns.
    pub reads: usize,
    /// Keys and values handed to the plugin.
    pub read_bytes: usize,
    /// Keys put or deleted.
    pub writes: usize,
    /// Keys and values of its writes.
    pub write_bytes: usize,
    /// Log text.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reads: 4096,
            read_bytes: 4 * 1024 * 1024,
            writes: 1024,
            write_bytes: 1536 * 1024,
            log_bytes: 4 * 1024,
        }
    }
}

/// What is left of them in a running call.
#[derive(Debug)]
pub(crate) struct Account {
    limits: Limits,
    left: Limits,
}

impl Account {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, left: limits }
    }

    /// # Errors
    /// The breach, in the server's words; so for the others.
    pub(crate) fn reads(&mut self, keys: usize) -> Result<(), String> {
        let breach = || format!("plugin read more than {} keys in one call", self.limits.reads);
        spend(&mut self.left.reads, keys).ok_or_else(breach)
    }

    /// Reads that may still be made.
    pub(crate) fn reads_left(&self) -> usize {
        self.left.reads
    }

    pub(crate) fn read_bytes(&mut self, bytes: usize) -> Result<(), String> {
        let most = self.limits.read_bytes;
        let breach = || format!("plugin read more than {most} bytes in one call");
        spend(&mut self.left.read_bytes, bytes).ok_or_else(breach)
    }

    pub(crate) fn writes(&mut self, keys: usize, bytes: usize) -> Result<(), String> {
        let Limits { writes, write_bytes, .. } = self.limits;
        spend(&mut self.left.writes, keys)
            .ok_or_else(|| format!("plugin wrote more than {writes} keys in one call"))?;
        spend(&mut self.left.write_bytes, bytes)
            .ok_or_else(|| format!("plugin wrote more than {write_bytes} bytes in one call"))
    }

    pub(crate) fn log_bytes(&mut self, bytes: usize) -> Result<(), String> {
        let most = self.limits.log_bytes;
        let breach = || format!("plugin logged more than {most} bytes in one call");
        spend(&mut self.left.log_bytes, bytes).ok_or_else(breach)
    }
}

fn spend(left: &mut usize, more: usize) -> Option<()> {
    *left = left.checked_sub(more)?;
    Some(())
}
