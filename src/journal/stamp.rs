//! When and where an entry is written: wall clock, boot clock, boot, host.
//!
//! Reads `/proc` and the clocks; what cannot be told is empty, never made up.

use crate::base::Timestamp;

/// When and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The wall clock.
    pub at: Timestamp,
    /// Milliseconds since boot.
    pub boot_ms: u64,
    /// Which boot; empty if the host does not tell.
    pub boot_id: String,
    /// The host; empty if it does not tell.
    pub host: String,
}

impl Stamp {
    /// Now and here.
    pub fn now() -> Self {
        Self {
            at: Timestamp::now(),
            boot_ms: Timestamp::boot_ms(),
            boot_id: kernel("random/boot_id"),
            host: kernel("hostname"),
        }
    }
}

/// What the kernel says of itself under this name.
fn kernel(name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_tells_everything_and_its_boot_clock_runs() {
        let (first, second) = (Stamp::now(), Stamp::now());
        assert!(!first.host.is_empty() && first.boot_id.len() == 36, "{first:?}");
        assert_eq!((&first.host, &first.boot_id), (&second.host, &second.boot_id));
        assert!(first.boot_ms > 0 && first.boot_ms <= second.boot_ms);
    }
}
