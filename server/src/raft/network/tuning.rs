//! Deadlines and windows of the peer protocol, each with its reason.

use std::time::Duration;

/// A peer that does not accept a connection by then is down.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// What a peer may take to say who the members are. A peer that is not up refuses at once; this is
/// for one that hangs, and holds up a first start by no more.
pub const INQUIRY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often an open connection is probed, so that a dead peer behind a half-open one is noticed.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// A probe unanswered for this long ends the connection.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// A log request unanswered for this long ends its stream. Well above a slow disk's fsync.
pub const APPEND_RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// A snapshot of which nothing moves for this long is given up.
pub const SNAPSHOT_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// What a receiver may take to put a complete snapshot in place.
pub const SNAPSHOT_INSTALL_TIMEOUT: Duration = Duration::from_secs(120);
/// Snapshot chunks read ahead of the wire, and off it ahead of the disk.
pub const SNAPSHOT_CHUNKS_AHEAD: usize = 4;

/// HTTP/2 frames of this size keep a large entry from being cut into hundreds.
pub const FRAME_BYTES: u32 = 1024 * 1024;
/// What may be on its way unacknowledged in one stream.
pub const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// And in one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// One message between peers. The log store bounds what one append carries far below; this is
/// only a guard.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Forwarded requests that wait to be sent to one leader; beyond it they are refused.
pub const FORWARDS_QUEUED_MAX: usize = 16_384;
/// Forwarded requests in one message: bounds the time the last of them waits for the first.
pub const FORWARDS_PER_MESSAGE: usize = 256;
/// Messages of forwarded requests handed to a stream and not yet on the wire.
pub const FORWARD_MESSAGES_AHEAD: usize = 16;
/// Requests of one peer under way on the leader; beyond it they are refused.
pub const FORWARDS_RUNNING_MAX: usize = 16_384;
