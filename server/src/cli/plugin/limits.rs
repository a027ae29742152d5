//! `--limit name=value`, by the names that the server uses.

use anyhow::{Context, bail};
use portunus_proto::portunus::v1::Limits;

use crate::config::nearest::nearest;

pub const NAMES: [&str; 7] =
    ["call-time-ms", "memory-bytes", "reads", "read-bytes", "writes", "result-bytes", "log-bytes"];

/// Takes `name=value` into `limits`. What is too much the server knows.
pub fn set(limits: &mut Limits, text: &str) -> anyhow::Result<()> {
    let (name, value) = text
        .split_once('=')
        .with_context(|| format!("--limit {text} is not NAME=VALUE, as in reads=100"))?;
    let number = || {
        value
            .parse::<u64>()
            .with_context(|| format!("--limit {text}: \"{value}\" is not a whole number"))
    };
    let slot = match name.replace('_', "-").as_str() {
        "call-time-ms" => {
            let time = u32::try_from(number()?);
            limits.call_time_ms =
                Some(time.with_context(|| format!("--limit {text} is far above any call's time"))?);
            return Ok(());
        }
        "memory-bytes" => &mut limits.memory_bytes,
        "reads" => &mut limits.reads,
        "read-bytes" => &mut limits.read_bytes,
        "writes" => &mut limits.writes,
        "result-bytes" => &mut limits.result_bytes,
        "log-bytes" => &mut limits.log_bytes,
        other => {
            let meant = nearest(other, NAMES).map(|name| format!(", did you mean {name}?"));
            let known = NAMES.join(", ");
            bail!("there is no limit \"{name}\"{}; there are {known}", meant.unwrap_or_default())
        }
    };
    *slot = Some(number()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Limits, set};

    #[test]
    fn limits_are_set_by_name_and_mistakes_are_named() {
        let mut limits = Limits::default();
        set(&mut limits, "reads=7").expect("a limit");
        set(&mut limits, "call_time_ms=5").expect("a limit");
        assert_eq!((limits.reads, limits.call_time_ms), (Some(7), Some(5)));
        let mut refusal = |text| set(&mut limits, text).expect_err("refused").to_string();
        assert!(refusal("read=7").contains("did you mean reads?"));
        assert!(refusal("reads").contains("is not NAME=VALUE"));
        assert!(refusal("reads=many").contains("\"many\" is not a whole number"));
        assert!(refusal("call-time-ms=5000000000").contains("far above"));
    }
}
