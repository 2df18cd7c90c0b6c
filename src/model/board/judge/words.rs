//! Durations and moments as an operator says them.

use crate::base::Timestamp;

/// A length of time in microseconds: `0.2 s`, `41 s`, `14 m`, `27 h`, `12 d`; nothing negative.
pub fn span(us: i64) -> String {
    let seconds = us.max(0) / 1_000_000;
    match seconds {
        0..10 if us.max(0) % 1_000_000 >= 100_000 => {
            format!("{}.{} s", seconds, us.max(0) % 1_000_000 / 100_000)
        }
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} m", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The time of day in UTC, to a tenth where there is one: `02:03:11.2`; with the date if that is another than now's.
pub fn clock(at: Timestamp, now: Timestamp) -> String {
    let (utc, today) = (at.to_utc(), now.to_utc());
    let day = if utc.date_naive() == today.date_naive() {
        String::new()
    } else {
        utc.format("%Y-%m-%d ").to_string()
    };
    let tenth = at.0.rem_euclid(1_000_000) / 100_000;
    let tenth = if tenth == 0 { String::new() } else { format!(".{tenth}") };
    format!("{day}{}{tenth}", utc.format("%H:%M:%S"))
}
