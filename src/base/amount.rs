//! Times and sizes as configurations write them, a number and its unit, and durations as people read them. Guesses no
//! unit that is not there.

use std::fmt;

/// A duration in milliseconds, shown as `0.4 s`, `12 s`, `4m38`, `1h05`, `3d02h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl fmt::Display for Millis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0 / 1000;
        match s {
            0..10 if self.0 != s * 1000 => write!(out, "{s}.{} s", self.0 % 1000 / 100),
            0..60 => write!(out, "{s} s"),
            60..3600 => write!(out, "{}m{:02}", s / 60, s % 60),
            3600..172_800 => write!(out, "{}h{:02}", s / 3600, s / 60 % 60),
            _ => write!(out, "{}d{:02}h", s / 86400, s / 3600 % 24),
        }
    }
}

/// A number and its unit's letters in lower case.
pub fn number_and_unit(text: &str) -> Option<(u64, String)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text.get(..digits)?.parse().ok()?;
    Some((number, text.get(digits..)?.to_ascii_lowercase()))
}

/// Milliseconds of a time such as `90`, `90s`, `1500ms`, `5m`, `2h`, `1d` or `1w`.
pub fn time_ms(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor_ms = match unit.as_str() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    number.checked_mul(factor_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_default_to_seconds() {
        for (text, ms) in [("60", 60_000), ("100ms", 100), ("1M", 60_000), ("1w", 604_800_000)] {
            assert_eq!(time_ms(text), Some(ms), "{text}");
        }
        for text in ["", "s", "0.5", "1y", "99999999999999999w"] {
            assert_eq!(time_ms(text), None, "{text}");
        }
    }
}
