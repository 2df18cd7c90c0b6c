//! Why a call brought nothing, sorted by what can be done about it.
//!
//! No variant holds more of an address than may be shown, and none holds a server's own words: a server may echo the
//! secret part of the address it was called by.

use crate::base::{Kind, Report};

/// Why an HTTP call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The address cannot be used.
    #[error("the address cannot be used: {why}")]
    Address {
        /// What is wrong with it, without its text.
        why: String,
    },
    /// A certificate or key file cannot be used.
    #[error("{file} cannot be used: {why}")]
    Credentials {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there.
    #[error("{at} cannot be reached: {why}")]
    Unreachable {
        /// The place.
        at: String,
        /// The system's reason.
        why: String,
    },
    /// No answer, or no whole one, came in time.
    #[error("{at} did not answer within {} s", .after_ms / 1000)]
    TimedOut {
        /// The place.
        at: String,
        /// The deadline.
        after_ms: u64,
    },
    /// The server is there and says no.
    #[error("{at} answers with status {code}")]
    Status {
        /// The place.
        at: String,
        /// HTTP status.
        code: u16,
    },
    /// The server sends elsewhere, where nothing is sent to.
    #[error("{at} redirects elsewhere (status {code}); a redirect is not followed")]
    Redirected {
        /// The place.
        at: String,
        /// HTTP status.
        code: u16,
    },
    /// The answer is larger than its bound.
    #[error("{at} answers with more than {most_bytes} bytes")]
    TooLarge {
        /// The place.
        at: String,
        /// The bound.
        most_bytes: usize,
    },
    /// The server's certificate is not believed, or no TLS is spoken there.
    #[error("the TLS connection to {at} failed: {why}")]
    Tls {
        /// The place.
        at: String,
        /// The reason.
        why: String,
    },
    /// The connection was lost or what came is no HTTP.
    #[error("the exchange with {at} broke off: {why}")]
    Broken {
        /// The place.
        at: String,
        /// The reason.
        why: String,
    },
    /// The answer is no JSON of the expected form.
    #[error("the answer of {at} is not the expected JSON ({why})")]
    NotJson {
        /// The place.
        at: String,
        /// Where it ends to be.
        why: String,
    },
}

impl NetError {
    /// True if the same call may succeed later without anybody changing a configuration.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Broken { .. } => true,
            Self::Status { code, .. } => *code >= 500 || [408, 425, 429].contains(code),
            _ => false,
        }
    }
}

impl From<NetError> for Report {
    fn from(error: NetError) -> Self {
        let text = error.to_string();
        match error {
            NetError::Address { .. } | NetError::Credentials { .. } => Self::usage(text),
            NetError::Tls { .. } => Self::new(Kind::Unreachable, text).hint(
                "install the authority's certificate on this host, or name its file in the configuration",
            ),
            _ => Self::new(Kind::Unreachable, text),
        }
    }
}
