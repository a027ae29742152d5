//! A snapshot's figures in the forms that etcdutl prints.

use clap::ValueEnum;

use crate::backup::Status;

/// etcdutl's names of its forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Simple,
    Json,
    Table,
    Fields,
}

/// The figures as text.
pub fn status(status: &Status, form: Form) -> String {
    let Status { hash, revision, total_keys, total_bytes, version } = status;
    let cells = [
        format!("{hash:x}"),
        revision.to_string(),
        total_keys.to_string(),
        human(*total_bytes),
        version.clone(),
    ];
    match form {
        Form::Simple => format!("{}\n", cells.join(", ")),
        Form::Json => {
            let version = serde_json::Value::from(version.as_str());
            format!(
                "{{\"hash\":{hash},\"revision\":{revision},\"totalKey\":{total_keys},\
                 \"totalSize\":{total_bytes},\"version\":{version}}}\n"
            )
        }
        Form::Table => table(&cells),
        Form::Fields => format!(
            "\"Hash\" : {hash}\n\"Revision\" : {revision}\n\"Keys\" : {total_keys}\n\
             \"Size\" : {total_bytes}\n\"Version\" : {version}\n"
        ),
    }
}

const HEADS: [&str; 5] = ["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"];

/// Heads in the middle, figures to the right, as etcdutl 3.6 and later have them.
fn table(cells: &[String; 5]) -> String {
    let widths: Vec<usize> =
        HEADS.iter().zip(cells).map(|(head, cell)| head.len().max(cell.len())).collect();
    let rule = |left: &str, between: &str, right: &str| {
        let lines: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        format!("{left}{}{right}\n", lines.join(between))
    };
    let heads: Vec<String> =
        HEADS.iter().zip(&widths).map(|(head, width)| format!(" {head:^width$} ")).collect();
    let row: Vec<String> =
        cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:>width$} ")).collect();
    [
        rule("┌", "┬", "┐"),
        format!("│{}│\n", heads.join("│")),
        rule("├", "┼", "┤"),
        format!("│{}│\n", row.join("│")),
        rule("└", "┴", "┘"),
    ]
    .concat()
}

/// Bytes in powers of a thousand, with a decimal below ten, as etcdutl rounds them.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1000.0, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let value = (value * 10.0 + 0.5).floor() / 10.0;
    let digits = usize::from(value < 10.0);
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::{Form, human, status};
    use crate::backup::Status;

    #[test]
    fn the_figures_are_printed_as_etcdutl_prints_them() {
        let figures = Status {
            hash: 0xfe01_cf57,
            revision: 10,
            total_keys: 7,
            total_bytes: 2_097_152,
            version: "3.7.0".into(),
        };
        assert_eq!(status(&figures, Form::Simple), "fe01cf57, 10, 7, 2.1 MB, 3.7.0\n");
        assert_eq!(
            status(&figures, Form::Json),
            "{\"hash\":4261531479,\"revision\":10,\"totalKey\":7,\"totalSize\":2097152,\
             \"version\":\"3.7.0\"}\n"
        );
        assert_eq!(
            status(&figures, Form::Fields),
            "\"Hash\" : 4261531479\n\"Revision\" : 10\n\"Keys\" : 7\n\"Size\" : 2097152\n\
             \"Version\" : 3.7.0\n"
        );
        let table = "\
┌──────────┬──────────┬────────────┬────────────┬─────────┐
│   HASH   │ REVISION │ TOTAL KEYS │ TOTAL SIZE │ VERSION │
├──────────┼──────────┼────────────┼────────────┼─────────┤
│ fe01cf57 │       10 │          7 │     2.1 MB │   3.7.0 │
└──────────┴──────────┴────────────┴────────────┴─────────┘
";
        assert_eq!(status(&figures, Form::Table), table);
    }

    #[test]
    fn sizes_are_rounded_as_etcdutl_rounds_them() {
        let sizes = [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (20_480, "20 kB")];
        let larger = [(82_854_982, "83 MB"), (4_294_967_296, "4.3 GB")];
        for (bytes, text) in sizes.into_iter().chain(larger) {
            assert_eq!(human(bytes), text);
        }
    }
}
