//! Columns, and how keys, digests and points are written in them.

pub use crate::effect::hex;
use portunus_proto::portunus::v1::{Mode, Point};

/// Rows under their heads, each column as wide as its longest entry; empty when there are none.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        all().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[String; N]| {
        let cells: String =
            row.iter().zip(widths).map(|(text, width)| format!("{text:width$}  ")).collect();
        format!("{}\n", cells.trim_end())
    };
    all().map(line).collect()
}

/// Enough of a digest to tell versions apart; JSON has all of it.
pub fn short(digest: &[u8]) -> String {
    hex(digest).chars().take(12).collect()
}

pub fn full(digest: &[u8]) -> String {
    format!("sha256:{}", hex(digest))
}

/// With escapes where it is not plain ASCII.
pub fn key(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

pub fn point(number: i32) -> &'static str {
    match Point::try_from(number) {
        Ok(Point::WritePolicy) => "write-policy",
        Ok(Point::Trigger) => "trigger",
        Ok(Point::Recipe) => "recipe",
        Ok(Point::LockAdmission) => "lock-admission",
        Ok(Point::QueueCondition) => "queue-condition",
        Ok(Point::Unspecified) | Err(_) => "unknown",
    }
}

pub fn mode(number: i32) -> &'static str {
    match Mode::try_from(number) {
        Ok(Mode::Enforce | Mode::Unspecified) => "enforce",
        Ok(Mode::Monitor) => "monitor",
        Ok(Mode::Disabled) => "disabled",
        Err(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_as_wide_as_their_longest_entry() {
        let rows =
            [["a", "orders/", ""], ["longer", "\\xff", "x"]].map(|row| row.map(String::from));
        let expected = "NAME    PREFIX   CONFIG\na       orders/\nlonger  \\xff     x\n";
        assert_eq!(table(["NAME", "PREFIX", "CONFIG"], &rows), expected);
        assert_eq!(table(["NAME"], &[]), "", "scripts that count lines see none");
    }
}
