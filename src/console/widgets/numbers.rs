//! Numbers as people say them: durations, ages, sizes, rates, times, bars. Never guesses a zone.

use crate::base::{Bytes, Millis, Timestamp};
use chrono::{FixedOffset, Local, Offset as _, TimeZone as _};
use std::fmt;

/// Where the operator's clock stands against UTC, moment by moment.
#[derive(Clone, Copy)]
pub struct Zone(fn(Timestamp) -> i32);

impl Zone {
    /// UTC itself: nothing stands beside a time.
    pub const UTC: Self = Self(|_| 0);

    /// The zone of this host, with its changes in the year.
    pub fn host() -> Self {
        Self(|at| Local.offset_from_utc_datetime(&at.to_utc().naive_utc()).fix().local_minus_utc())
    }

    /// One where `offset` says for a moment how many seconds the clock is ahead of UTC.
    pub fn of(offset: fn(Timestamp) -> i32) -> Self {
        Self(offset)
    }

    /// The moment's local reading; nothing where it is the same as UTC.
    fn local(self, at: Timestamp) -> Option<chrono::DateTime<FixedOffset>> {
        let seconds = (self.0)(at);
        let offset = FixedOffset::east_opt(seconds).filter(|_| seconds != 0)?;
        Some(at.to_utc().with_timezone(&offset))
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Zone")
    }
}

/// The time of day in UTC: `02:14:07`.
pub fn clock(at: Timestamp) -> String {
    at.to_utc().format("%H:%M:%S").to_string()
}

/// A moment in UTC, to the second: `2026-11-21 02:14:07`.
pub fn moment(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment near `now`: only the time of day if it is the same day in UTC, else the moment.
pub fn time(at: Timestamp, now: Timestamp) -> String {
    if at.to_utc().date_naive() == now.to_utc().date_naive() { clock(at) } else { moment(at) }
}

/// What stands beside a time of day in UTC: `03:14:07 +01`; empty where the local clock is the same.
pub fn beside(at: Timestamp, zone: Zone) -> String {
    let Some(local) = zone.local(at) else { return String::new() };
    let offset = local.format("%:z").to_string();
    format!("{} {}", local.format("%H:%M:%S"), offset.strip_suffix(":00").unwrap_or(&offset))
}

/// A duration: `0.4 s`, `12 s`, `4m38`, `1h05`, `3d02h`.
pub fn duration(ms: u64) -> String {
    Millis(ms).to_string()
}

/// From one moment to another, milliseconds; 0 if the clock went back.
pub fn elapsed(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.0.saturating_sub(from.0) / 1000).unwrap_or(0)
}

/// How old something is, in one unit: `41 s`, `14 m`, `27 h`, `12 d`.
pub fn age(at: Timestamp, now: Timestamp) -> String {
    let s = elapsed(at, now) / 1000;
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} m", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86400),
    }
}

/// A number of bytes: `812 B`, `44.7 MB`.
pub fn size(bytes: u64) -> String {
    Bytes(bytes).to_string()
}

/// Bytes in a second: `148.0 MB/s`.
pub fn rate(bytes_per_s: u64) -> String {
    format!("{}/s", Bytes(bytes_per_s))
}

/// A progress bar of exactly `columns`, its two ends included: `▕████▌   ▏`. Full only when everything is done.
pub fn bar(columns: usize, done: u64, total: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let inner = columns.saturating_sub(2);
    let all = inner as u128 * 8;
    let part = if total == 0 { 0 } else { all * u128::from(done.min(total)) / u128::from(total) };
    let part = usize::try_from(part).unwrap_or(0);
    let drawn = format!("{}{}", "█".repeat(part / 8), EIGHTHS[part % 8]);
    let used = part / 8 + usize::from(part % 8 > 0);
    format!("▕{drawn}{}▏", " ".repeat(inner - used))
}

#[cfg(test)]
mod tests {
    use super::super::width;
    use super::*;

    #[test]
    fn durations_and_ages_are_said_as_people_say_them() {
        let said = |ms| duration(ms);
        let expected = ["0 s", "0.4 s", "1.2 s", "12 s", "59 s", "4m38", "59m59", "1h05", "47h59", "3d02h"];
        let given = [0, 400, 1_250, 12_900, 59_999, 278_000, 3_599_999, 3_900_000, 172_799_000, 266_400_000];
        assert_eq!(given.map(said), expected);
        let now = Timestamp::from_unix_s(2_000_000);
        let old = |s: i64| age(Timestamp::from_unix_s(2_000_000 - s), now);
        assert_eq!([41, 119, 850, 97_200, 1_036_800].map(old), ["41 s", "119 s", "14 m", "27 h", "12 d"]);
        assert_eq!(old(-50), "0 s", "a clock that went back");
        assert_eq!(
            (duration(u64::MAX), elapsed(Timestamp(i64::MIN), Timestamp(i64::MAX))).1,
            9_223_372_036_854_775
        );
    }

    #[test]
    fn times_are_utc_with_the_local_clock_beside() {
        let at = Timestamp::from_unix_s(1_795_227_247);
        assert_eq!((clock(at), moment(at)), ("02:14:07".into(), "2026-11-21 02:14:07".into()));
        assert_eq!(beside(at, Zone::UTC), "");
        assert_eq!(beside(at, Zone::of(|_| 3600)), "03:14:07 +01");
        assert_eq!(beside(at, Zone::of(|_| -12_600)), "22:44:07 -03:30");
        assert_eq!(time(at, Timestamp::from_unix_s(1_795_227_248)), "02:14:07");
        assert_eq!(time(at, Timestamp::from_unix_s(1_795_327_248)), "2026-11-21 02:14:07");
    }

    #[test]
    fn a_bar_is_full_only_at_the_end_and_never_too_wide() {
        assert_eq!(bar(6, 0, 100), "▕    ▏");
        assert_eq!(bar(6, 100, 100), "▕████▏");
        assert_eq!(bar(6, 99, 100), "▕███▉▏");
        assert_eq!(bar(6, 34, 100), "▕█▎  ▏");
        for columns in 2..40 {
            for done in [0, 1, 7, 50, 99, 100, 1000, u64::MAX] {
                assert_eq!(width(&bar(columns, done, 100)), columns);
                assert_eq!(width(&bar(columns, done, 0)), columns);
            }
        }
    }
}
