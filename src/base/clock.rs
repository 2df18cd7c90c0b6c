//! Moments in time, and the one place that reads the wall clock.
//!
//! [`Timestamp`] has microseconds, as PostgreSQL's commit records have. Everything is kept and printed in UTC;
//! a reading without a zone exists only at the edges ([`TargetTime`]). Ambiguous civil times are refused with
//! both readings, never guessed.

use chrono::{DateTime, Local, LocalResult, NaiveDate, NaiveDateTime, TimeZone, Utc};
use std::fmt;

/// Seconds between 1970-01-01 and 2000-01-01, PostgreSQL's epoch.
const PG_EPOCH_UNIX_S: i64 = 946_684_800;

/// A moment, in microseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The wall clock, now.
    #[expect(clippy::disallowed_methods, reason = "the home of the wall clock")]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since this host was booted, sleep included: a clock nobody can set.
    pub fn boot_ms() -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        u64::try_from(time.tv_sec * 1000 + time.tv_nsec / 1_000_000).unwrap_or(0)
    }

    /// From whole seconds since 1970.
    pub fn from_unix_s(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// From PostgreSQL's `TimestampTz`: microseconds since 2000-01-01 UTC.
    pub fn from_postgres_us(us: i64) -> Self {
        Self(us.saturating_add(PG_EPOCH_UNIX_S * 1_000_000))
    }

    /// Whole seconds since 1970, rounded down.
    pub fn unix_s(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The same moment as a chrono value in UTC; the nearest representable one if it is out of range.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(if self.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }

    /// The same moment in the host's zone, as pgBackRest prints: `2026-11-21 01:06:47+00`.
    pub fn local_text(self) -> String {
        let local = self.to_utc().with_timezone(&Local);
        let offset = local.format("%:z").to_string();
        format!("{}{}", local.format("%Y-%m-%d %H:%M:%S"), offset.strip_suffix(":00").unwrap_or(&offset))
    }
}

impl fmt::Display for Timestamp {
    /// As PostgreSQL prints it in UTC, without trailing zeros: `2026-11-21 01:06:03.394123+00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_utc().format("%Y-%m-%d %H:%M:%S"))?;
        let us = self.0.rem_euclid(1_000_000);
        if us != 0 {
            let digits = format!("{us:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("+00")
    }
}

/// A recovery target time as a person gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTime {
    /// The moment meant.
    pub at: Timestamp,
    /// The text to hand to PostgreSQL: as given if it carried an offset, else completed with one.
    pub text: String,
    /// True if no zone was given and the host's zone was taken.
    pub zone_assumed: bool,
}

/// Why a target time was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not a time in an accepted form.
    #[error("'{0}' is not a time (expected YYYY-MM-DD HH:MM:SS[.ffffff] followed by +HH[:MM], Z or UTC)")]
    Form(String),
    /// A zone abbreviation, which different places read differently.
    #[error("zone '{zone}' in '{text}' is ambiguous; write the offset, for example +01")]
    Zone {
        /// The abbreviation.
        zone: String,
        /// The whole text.
        text: String,
    },
    /// A local time that occurs twice.
    #[error("local time '{text}' occurs twice (the clock was set back); write {first} or {second}")]
    Twice {
        /// The text as given.
        text: String,
        /// The earlier moment, UTC.
        first: Timestamp,
        /// The later moment, UTC.
        second: Timestamp,
    },
    /// A local time that the clock skipped.
    #[error("local time '{0}' does not exist (the clock was set forward); write it in UTC")]
    Never(String),
}

impl TargetTime {
    /// Reads a target time; without a zone the host's zone is taken, as pgBackRest does, and said so.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        Self::parse_in(text, &Local)
    }

    /// Reads a target time with `zone` for texts that name none.
    pub fn parse_in<Z: TimeZone>(text: &str, zone: &Z) -> Result<Self, TimeError> {
        let trimmed = text.trim();
        let form = || TimeError::Form(text.to_owned());
        let zone_at = trimmed
            .char_indices()
            .skip(10)
            .find(|(_, c)| matches!(c, '+' | '-' | 'Z' | 'z') || c.is_ascii_alphabetic() && *c != 'T');
        let (civil, offset) = zone_at.map_or((trimmed, ""), |(at, _)| trimmed.split_at(at));
        let naive = parse_civil(civil.trim_end()).ok_or_else(form)?;
        if offset.is_empty() {
            return Self::from_local(text, naive, zone);
        }
        let seconds = parse_offset(offset, text)?;
        let us = naive.and_utc().timestamp_micros();
        let at = Timestamp(us - i64::from(seconds) * 1_000_000);
        // PostgreSQL reads neither a T between date and time in every version nor a bare Z alike: the plain form is safe.
        let plain = trimmed.as_bytes().get(10) == Some(&b' ') && offset.starts_with(['+', '-']);
        let text = if plain { trimmed.to_owned() } else { at.to_string() };
        Ok(Self { at, text, zone_assumed: false })
    }

    fn from_local<Z: TimeZone>(text: &str, naive: NaiveDateTime, zone: &Z) -> Result<Self, TimeError> {
        let at = |t: DateTime<Z>| Timestamp(t.timestamp_micros());
        match zone.from_local_datetime(&naive) {
            LocalResult::Single(t) => {
                Ok(Self { at: at(t.clone()), text: at(t).to_string(), zone_assumed: true })
            }
            LocalResult::Ambiguous(a, b) => {
                let (a, b) = (at(a), at(b));
                Err(TimeError::Twice { text: text.to_owned(), first: a.min(b), second: a.max(b) })
            }
            LocalResult::None => Err(TimeError::Never(text.to_owned())),
        }
    }
}

fn parse_civil(text: &str) -> Option<NaiveDateTime> {
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return day.and_hms_opt(0, 0, 0);
    }
    // A seventh digit of the fraction would be cut silently: PostgreSQL keeps six.
    if text.rsplit_once('.').is_some_and(|(_, fraction)| fraction.len() > 6) {
        return None;
    }
    let text = text.replacen('T', " ", 1);
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|f| NaiveDateTime::parse_from_str(&text, f).ok())
}

/// Seconds east of Greenwich.
fn parse_offset(offset: &str, whole: &str) -> Result<i32, TimeError> {
    if matches!(offset, "Z" | "z" | "UTC" | "GMT" | "utc" | "gmt") {
        return Ok(0);
    }
    let Some(digits) = offset.strip_prefix(['+', '-']) else {
        return Err(TimeError::Zone { zone: offset.to_owned(), text: whole.to_owned() });
    };
    let form = || TimeError::Form(whole.to_owned());
    let (hours, minutes) = match (digits.len(), digits.split_once(':')) {
        (1 | 2, None) => (digits, "0"),
        (4, None) => digits.split_at_checked(2).ok_or_else(form)?,
        (_, Some((h, m))) if m.len() == 2 => (h, m),
        _ => return Err(form()),
    };
    let number = |t: &str| {
        if t.bytes().all(|b| b.is_ascii_digit()) { t.parse::<i32>().map_err(|_| form()) } else { Err(form()) }
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 15 || minutes > 59 {
        return Err(form());
    }
    let seconds = hours * 3600 + minutes * 60;
    Ok(if offset.starts_with('-') { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    fn at(text: &str) -> String {
        TargetTime::parse_in(text, &Utc).unwrap().at.to_string()
    }

    #[test]
    fn offsets_are_read_as_hours_not_minutes() {
        assert_eq!(at("2026-11-20 14:32:10+01"), "2026-11-20 13:32:10+00");
        assert_eq!(at("2026-11-20 14:32:10.250 +0100"), "2026-11-20 13:32:10.25+00");
        assert_eq!(at("2026-11-20T14:32:10Z"), "2026-11-20 14:32:10+00");
        assert_eq!(at("2026-11-20 14:32:10 UTC"), "2026-11-20 14:32:10+00");
        assert_eq!(at("2026-11-20 14:32:10-05:30"), "2026-11-20 20:02:10+00");
        assert_eq!(at("2026-11-20"), "2026-11-20 00:00:00+00");
    }

    #[test]
    fn text_with_an_offset_stays_as_given() {
        let t = TargetTime::parse_in("2026-11-21 01:06:03.794123+00", &Utc).unwrap();
        assert_eq!((t.text.as_str(), t.zone_assumed), ("2026-11-21 01:06:03.794123+00", false));
        let local =
            TargetTime::parse_in("2026-11-21 03:06:03", &FixedOffset::east_opt(7200).unwrap()).unwrap();
        assert_eq!((local.text.as_str(), local.zone_assumed), ("2026-11-21 01:06:03+00", true));
    }

    #[test]
    fn refuses_what_would_be_guessed() {
        for text in [
            "",
            "yesterday",
            "2026-11-20 14:32:10 CET",
            "2026-11-20 14:32:10+01:7",
            "2026-11-20 14:32:10+99",
            "2026-13-01 00:00:00",
            "2026-11-20 14:32:10.1234567",
            "2026-11-20 14:32:10+",
            "2026-11-20 14:32:10+-1",
        ] {
            assert!(TargetTime::parse_in(text, &Utc).is_err(), "{text}");
        }
    }
}
