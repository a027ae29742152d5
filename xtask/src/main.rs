//! `cargo xtask tidy`: the checks that no compiler makes. Reads files, writes nothing.

mod headers;
mod layers;
mod tree;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("tidy") => Ok(report(&tidy()?)),
        Some(other) => bail!("no task {other:?}; there is: tidy"),
        None => bail!("which task? there is: tidy"),
    }
}

/// Every rule's complaints, each naming file and rule.
fn tidy() -> Result<Vec<String>> {
    let sources = tree::sources()?;
    let mut complaints = headers::check(&sources);
    complaints.extend(layers::check(&sources)?);
    Ok(complaints)
}

fn report(complaints: &[String]) -> ExitCode {
    for complaint in complaints {
        eprintln!("tidy: {complaint}");
    }
    match complaints.len() {
        0 => {
            println!("tidy: nothing to complain about");
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        let complaints = super::tidy().unwrap();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
