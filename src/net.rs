//! HTTP for everybody: one blocking client whose every call ends in time, with a typed answer.
//!
//! It never follows a redirect, never waits past its deadline, never keeps an answer larger than its bound, and never
//! shows what of an address is secret: user, password and query, and of a [`Url::secret`] everything but the host.
//! Nothing is built before the first call, and a host without any certificate authority can still speak plain HTTP.

mod call;
mod error;
mod url;

pub use error::NetError;
pub use url::Url;

use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// How long a call may take and how much it may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The end of the whole call: name, connection, request, answer, and every further attempt.
    pub deadline: Duration,
    /// The largest body that is taken.
    pub most_bytes: usize,
    /// How often a GET is tried while nobody answers or the server says 5xx; a POST is sent once.
    pub attempts: u32,
}

impl Default for Limits {
    /// 5 s, 1 MiB, one attempt.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(5), most_bytes: 1 << 20, attempts: 1 }
    }
}

/// Whom a client believes, who it says it is, and by which way it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// PEM file of authorities that are believed besides the system's.
    pub authorities: Option<PathBuf>,
    /// PEM files of the client's own certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Any certificate is believed; only where the operator's own configuration says so.
    pub anybody: bool,
    /// Goes through the proxy that the environment names; else straight to the host.
    pub by_proxy: bool,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body, within the bound.
    pub body: Vec<u8>,
    /// The place that was asked, as it may be shown.
    at: String,
}

impl Answer {
    /// True for 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The same answer, or the refusal that its status is.
    pub fn accepted(self) -> Result<Self, NetError> {
        let at = || self.at.clone();
        match self.status {
            200..=299 => Ok(self),
            300..=399 => Err(NetError::Redirected { at: at(), code: self.status }),
            code => Err(NetError::Status { at: at(), code }),
        }
    }

    /// The body as JSON, whatever the status.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, NetError> {
        serde_json::from_slice(&self.body).map_err(|error| NetError::NotJson {
            at: self.at.clone(),
            why: format!("line {}, column {}", error.line(), error.column()),
        })
    }
}

/// The client; cheap to make, and usable from every thread.
#[derive(Debug, Default)]
pub struct Http {
    limits: Limits,
    trust: Trust,
    client: OnceLock<Result<reqwest::Client, NetError>>,
}

impl Http {
    /// A client with these limits that believes these.
    pub fn new(limits: Limits, trust: Trust) -> Self {
        Self { limits, trust, client: OnceLock::new() }
    }

    /// Asks; every status is an answer.
    pub fn get(&self, url: &Url) -> Result<Answer, NetError> {
        let attempts = self.limits.attempts.max(1);
        self.call(&call::Request { url, method: "GET", headers: &[], body: None, attempts })
    }

    /// Asks for JSON; every status but 2xx is an error.
    pub fn get_json<T: DeserializeOwned>(&self, url: &Url) -> Result<T, NetError> {
        self.get(url)?.accepted()?.json()
    }

    /// Sends a body of this type once; every status but 2xx is an error, a redirect too.
    pub fn post(&self, url: &Url, content_type: &str, body: &[u8]) -> Result<Answer, NetError> {
        self.send("POST", url, &[("content-type", content_type)], Some(body))
    }

    /// Sends once, by this method and with these headers, whose values are taken for secrets; every status but 2xx is
    /// an error, a redirect too.
    pub fn send(
        &self,
        method: &str,
        url: &Url,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, NetError> {
        self.call(&call::Request { url, method, headers, body, attempts: 1 })?.accepted()
    }

    fn call(&self, request: &call::Request<'_>) -> Result<Answer, NetError> {
        match self.client.get_or_init(|| call::client(&self.trust)) {
            Ok(client) => call::run(client, self.limits, request),
            Err(error) => Err(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
