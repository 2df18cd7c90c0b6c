//! One call: its own runtime, its deadline, its bound, and what reqwest's errors mean.
//!
//! A call leaves nothing behind that its caller would wait for: no pooled connection, and a name server that hangs
//! keeps a thread of its own, not the caller.

use super::{Answer, Limits, NetError, Trust, Url};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Method, RequestBuilder, header};
use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// What is asked of a server.
pub(super) struct Request<'a> {
    pub(super) url: &'a Url,
    pub(super) method: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: Option<&'a [u8]>,
    pub(super) attempts: u32,
}

/// The wait before the next attempt.
const PAUSE: Duration = Duration::from_millis(250);

/// A client that believes whom it is told to. Where the system has no authorities at all, reqwest builds none, even
/// for plain HTTP: then one is built that believes only the named ones, and says so when TLS is spoken.
pub(super) fn client(trust: &Trust) -> Result<Client, NetError> {
    let believed = authorities(trust)?;
    let identity = identity(trust)?;
    let builder = || -> ClientBuilder {
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            .user_agent(concat!("pgmayday/", env!("CARGO_PKG_VERSION")));
        if !trust.by_proxy {
            builder = builder.no_proxy();
        }
        if trust.anybody {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        match &identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        }
    };
    builder()
        .tls_certs_merge(believed.clone())
        .build()
        .or_else(|_| builder().tls_certs_only(believed).build())
        .map_err(|error| {
            let named = trust.authorities.as_ref().or(trust.identity.as_ref().map(|(path, _)| path));
            let file = named.map_or("the TLS configuration".to_owned(), |path| path.display().to_string());
            NetError::Credentials { file, why: cause(&error) }
        })
}

fn authorities(trust: &Trust) -> Result<Vec<Certificate>, NetError> {
    let Some(path) = &trust.authorities else { return Ok(Vec::new()) };
    let unusable = |why: String| NetError::Credentials { file: path.display().to_string(), why };
    let believed = Certificate::from_pem_bundle(&pem(path)?).map_err(|error| unusable(cause(&error)))?;
    if believed.is_empty() { Err(unusable("there is no certificate in it".to_owned())) } else { Ok(believed) }
}

fn identity(trust: &Trust) -> Result<Option<Identity>, NetError> {
    let Some((certificate, key)) = &trust.identity else { return Ok(None) };
    let both = [pem(certificate)?, pem(key)?].join(&b'\n');
    let identity = Identity::from_pem(&both).map_err(|error| NetError::Credentials {
        file: format!("{} with {}", certificate.display(), key.display()),
        why: cause(&error),
    })?;
    Ok(Some(identity))
}

fn pem(path: &Path) -> Result<Vec<u8>, NetError> {
    fs::read(path)
        .map_err(|error| NetError::Credentials { file: path.display().to_string(), why: error.to_string() })
}

/// Runs a call to its end or its deadline.
pub(super) fn run(client: &Client, limits: Limits, request: &Request<'_>) -> Result<Answer, NetError> {
    let at = request.url.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| NetError::Unreachable { at: at.clone(), why: error.to_string() })?;
    let timed = runtime.block_on(async {
        tokio::time::timeout(limits.deadline, attempts(client, limits, request, &at)).await
    });
    // Dropping it would wait for a look-up of a name that still hangs.
    runtime.shutdown_background();
    let after_ms = u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX);
    timed.unwrap_or(Err(NetError::TimedOut { at, after_ms }))
}

async fn attempts(
    client: &Client,
    limits: Limits,
    request: &Request<'_>,
    at: &str,
) -> Result<Answer, NetError> {
    let mut left = request.attempts;
    loop {
        left = left.saturating_sub(1);
        let result = once(client, limits, request, at).await;
        let passing = match &result {
            Ok(answer) => answer.status >= 500,
            Err(error) => error.may_pass(),
        };
        if left == 0 || !passing {
            return result;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(client: &Client, limits: Limits, request: &Request<'_>, at: &str) -> Result<Answer, NetError> {
    let building = building(client, request)?;
    let mut response = building.send().await.map_err(|error| meant(&error, at))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| meant(&error, at))? {
        if body.len() + piece.len() > limits.most_bytes {
            return Err(NetError::TooLarge { at: at.to_owned(), most_bytes: limits.most_bytes });
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer { status, body, at: at.to_owned() })
}

/// What is sent. A header's value is never part of an error.
fn building(client: &Client, request: &Request<'_>) -> Result<RequestBuilder, NetError> {
    let unusable = |what: &str| NetError::Address { why: format!("{what} cannot be sent") };
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| unusable("the method"))?;
    let mut building = client.request(method, request.url.whole());
    for (name, value) in request.headers {
        let mut value = header::HeaderValue::from_str(value)
            .map_err(|_| unusable(&format!("the value of the header {name}")))?;
        value.set_sensitive(true);
        building = building.header(*name, value);
    }
    Ok(match request.body {
        Some(body) => building.body(body.to_vec()),
        None => building,
    })
}

/// What an error of reqwest means. Its own text names the whole address and is never used.
fn meant(error: &reqwest::Error, at: &str) -> NetError {
    let (at, why) = (at.to_owned(), cause(error));
    match (causes(error).any(is_tls), error.is_connect()) {
        (true, _) => NetError::Tls { at, why },
        (false, true) => NetError::Unreachable { at, why },
        (false, false) => NetError::Broken { at, why },
    }
}

/// rustls comes wrapped in an I/O error of this kind, which the system itself never gives to a connection.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        error.kind() == io::ErrorKind::InvalidData || error.get_ref().is_some_and(|inner| is_tls(inner))
    })
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |source: &&'a (dyn Error + 'static)| (*source).source())
}

/// The innermost reason; reqwest's own words, which are those with the address, only as what kind of failure it is.
fn cause(error: &reqwest::Error) -> String {
    let kind = if error.is_builder() { "it is not in the expected form" } else { "no reason is given" };
    causes(error).last().map_or_else(|| kind.to_owned(), ToString::to_string)
}
