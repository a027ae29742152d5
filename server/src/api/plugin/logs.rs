//! A plugin's lines as a stream: what is kept, then what comes, at the client's pace. A client
//! that is too slow misses lines, and the numbers tell.

use std::sync::Arc;

use futures::Stream;
use futures::stream;
use portunus_proto::portunus::v1::{LogLine, LogsResponse};
use tonic::Status;

use super::convert::wire_point;
use crate::wasm::{Diary, Line};

/// Lines in one message: some hundred kilobytes at most.
const LINES: usize = 64;

/// Where a client stands.
struct Reader {
    diary: Arc<Diary>,
    said: u64,
    follow: bool,
}

/// The last `tail` lines, or all that are kept for 0; then, if wanted, those that come. Ends when
/// the plugin is gone.
pub fn stream(
    diary: Arc<Diary>,
    tail: usize,
    follow: bool,
) -> impl Stream<Item = Result<LogsResponse, Status>> + Send {
    let kept = diary.lines_after(0, usize::MAX);
    let skipped = if tail == 0 { 0 } else { kept.len().saturating_sub(tail) };
    let said = match skipped {
        0 => 0,
        skipped => kept[skipped - 1].number,
    };
    stream::unfold(Reader { diary, said, follow }, |mut reader| async {
        let lines = reader.next().await?;
        Some((Ok(LogsResponse { lines: lines.into_iter().map(wire_line).collect() }), reader))
    })
}

impl Reader {
    async fn next(&mut self) -> Option<Vec<Line>> {
        loop {
            let mut news = self.diary.follow();
            let lines = self.diary.lines_after(self.said, LINES);
            if let Some(last) = lines.last() {
                self.said = last.number;
                return Some(lines);
            }
            if !self.follow {
                return None;
            }
            let said = self.said;
            news.wait_for(|newest| *newest > said).await.ok()?;
        }
    }
}

fn wire_line(line: Line) -> LogLine {
    LogLine {
        number: line.number,
        unix_ms: line.unix_ms,
        level: line.level.name().to_owned(),
        point: wire_point(line.point).into(),
        text: line.text,
    }
}
