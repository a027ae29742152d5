//! How a call ends when it does not end well, and the words for it.

use std::fmt::{self, Display};

use crate::Time;

/// What a plugin's functions return. Without arguments it is `Result<(), Error>`.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Ends the call; everything that it wrote is dropped.
///
/// Made by [`refuse`], [`invalid`], [`wait`] and [`wait_until`], and by `?` from any error of the
/// standard kind, whose text then is the reason of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub(crate) Stop);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    Refuse(String),
    Invalid(String),
    Wait(Option<Time>),
}

/// Refuses: the transaction does not happen, and `reason` reaches its caller.
///
/// A trigger that refuses has failed: the same events are told to it again later.
///
/// ```
/// # use portunus_sdk::prelude::*;
/// fn positive(by: i64) -> Result {
///     if by <= 0 {
///         refuse(format!("{by} is not positive"))?;
///     }
///     Ok(())
/// }
/// ```
pub fn refuse<T>(reason: impl Display) -> Result<T> {
    Err(Error(Stop::Refuse(reason.to_string())))
}

/// Ends a recipe because its arguments make no sense: the caller's mistake, as `reason` tells.
pub fn invalid<T>(reason: impl Display) -> Result<T> {
    Err(Error(Stop::Invalid(reason.to_string())))
}

/// Parks a recipe: it runs again, from its beginning, when something that it read changes.
///
/// ```
/// # use portunus_sdk::prelude::*;
/// fn take(cx: &Context) -> Result<Item> {
///     let Some(first) = cx.prefix("queue/").next() else { return wait() };
///     cx.delete(&first.key);
///     Ok(first)
/// }
/// ```
pub fn wait<T>() -> Result<T> {
    Err(Error(Stop::Wait(None)))
}

/// Parks a recipe as [`wait`] does, but not beyond `time`: then it runs again in any case.
pub fn wait_until<T>(time: Time) -> Result<T> {
    Err(Error(Stop::Wait(Some(time))))
}

/// Shorter ways to stop at an absent value or at an error.
pub trait OrStop<T>: Sized {
    /// The value, or a refusal with `reason`.
    fn or_refuse(self, reason: impl Display) -> Result<T>;

    /// The value, or [`wait`].
    fn or_wait(self) -> Result<T>;
}

impl<T> OrStop<T> for Option<T> {
    fn or_refuse(self, reason: impl Display) -> Result<T> {
        self.map_or_else(|| refuse(reason), Ok)
    }

    fn or_wait(self) -> Result<T> {
        self.map_or_else(wait, Ok)
    }
}

impl<T, E> OrStop<T> for std::result::Result<T, E> {
    fn or_refuse(self, reason: impl Display) -> Result<T> {
        self.or_else(|_| refuse(reason))
    }

    fn or_wait(self) -> Result<T> {
        self.or_else(|_| wait())
    }
}

impl Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stop::Refuse(reason) | Stop::Invalid(reason) => out.write_str(reason),
            Stop::Wait(_) => out.write_str("it waits, which only a recipe can do"),
        }
    }
}

// `Error` itself is no `std::error::Error`, or the two would overlap with `From<T> for T`.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Stop::Refuse(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, OrStop, Result, Stop, invalid, refuse, wait, wait_until};
    use crate::Time;

    fn parsed(text: &str) -> Result<u8> {
        Ok(text.parse::<u8>()?)
    }

    #[test]
    fn any_error_refuses_with_its_text() {
        assert_eq!(parsed("7"), Ok(7));
        assert_eq!(parsed("x").expect_err("refused").to_string(), "invalid digit found in string");
    }

    #[test]
    fn the_words_end_a_function_wherever_they_stand() {
        fn stop(how: u8) -> Result<u8> {
            match how {
                0 => refuse("no")?,
                1 => wait()?,
                2 => return wait_until(Time::from_millis(9)),
                3 => return None.or_wait(),
                4 => return "x".parse().or_refuse("not a number"),
                5 => invalid(format_args!("{how}"))?,
                _ => {}
            }
            Ok(how)
        }
        let stopped = |how| stop(how).map_err(|Error(stop)| stop);
        assert_eq!(stopped(0), Err(Stop::Refuse("no".to_owned())));
        assert_eq!(stopped(1), Err(Stop::Wait(None)));
        assert_eq!(stopped(2), Err(Stop::Wait(Some(Time::from_millis(9)))));
        assert_eq!(stopped(3), Err(Stop::Wait(None)));
        assert_eq!(stopped(4), Err(Stop::Refuse("not a number".to_owned())));
        assert_eq!(stopped(5), Err(Stop::Invalid("5".to_owned())));
        assert_eq!(stopped(6), Ok(6));
    }
}
