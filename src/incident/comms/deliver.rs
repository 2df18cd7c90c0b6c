//! Sending what is queued: each message to each channel that has not taken it, with a growing pause after a failure.
//!
//! One sender at a time. A call ends in time whatever the other side does, and no failure ends anything but itself: the
//! message stays queued. A crash right after a channel took a message may send it twice, never lose it.

use super::cadence::audiences;
use super::queue::{Queued, Waiting};
use crate::base::{Result, Timestamp};
use crate::config::site::{AudienceSite, StanzaSite, WebhookKind, WebhookSite};
use crate::incident::{Incidents, standing::ChannelState};
use crate::journal::{Audience, Fact};
use crate::net::{Http, Limits, Trust, Url};
use serde::Serialize;

/// The pause after the first failure; it doubles.
const FIRST_PAUSE_S: u64 = 30;
/// The longest pause.
const MOST_PAUSE_S: u64 = 300;

/// A channel messages can be sent by.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Who listens there.
    pub audience: AudienceSite,
    kind: WebhookKind,
    /// Where it is, or why that is not known.
    url: Result<Url, String>,
    http: Http,
}

impl Route {
    /// The webhooks of a stanza. `variable` looks a variable of the environment up.
    pub fn of_site(site: &StanzaSite, variable: &dyn Fn(&str) -> Option<String>) -> Vec<Self> {
        site.webhook.iter().map(|hook| Self::new(hook, variable)).collect()
    }

    fn new(hook: &WebhookSite, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let address = hook.address(variable).map_err(|error| error.to_string());
        let url =
            address.and_then(|address| Url::secret(address.expose()).map_err(|error| error.to_string()));
        let trust = Trust { authorities: hook.ca_file.clone(), by_proxy: hook.by_proxy, ..Trust::default() };
        Self {
            name: hook.name.clone(),
            audience: hook.audience,
            kind: hook.kind,
            url,
            http: Http::new(Limits::default(), trust),
        }
    }

    /// True if this audience listens there.
    pub fn reaches(&self, audience: Audience) -> bool {
        audiences(self.audience).contains(&audience)
    }

    /// Where it is, as it may be shown, or why that is not known.
    pub fn place(&self) -> String {
        self.url.as_ref().map_or_else(Clone::clone, ToString::to_string)
    }

    fn post(&self, incident: &str, queued: &Queued) -> Result<(), String> {
        let url = self.url.as_ref().map_err(Clone::clone)?;
        let (content_type, body) = match self.kind {
            WebhookKind::Ntfy => ("text/plain; charset=utf-8", queued.text.clone().into_bytes()),
            WebhookKind::Slack => {
                // Slack reads these three as markup.
                let text = queued.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                ("application/json", serde_json::json!({ "text": text }).to_string().into_bytes())
            }
            WebhookKind::Json => ("application/json", document(incident, queued).into_bytes()),
        };
        self.http.post(url, content_type, &body).map(drop).map_err(|error| error.to_string())
    }
}

fn document(incident: &str, queued: &Queued) -> String {
    serde_json::json!({
        "schema": "pgmayday.message/1",
        "incident": incident,
        "message": queued.message,
        "audience": queued.audience,
        "at": queued.at,
        "text": queued.text,
        "sha256": queued.sha256,
        "journal": queued.head,
    })
    .to_string()
}

/// What came of sending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// What was tried.
    pub outcomes: Vec<Outcome>,
    /// What could not be read or written down meanwhile.
    pub troubles: Vec<String>,
}

/// What came of a message on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The message.
    pub message: String,
    /// The channel.
    pub channel: String,
    /// True if it took the message.
    pub sent: bool,
    /// Why not; the message stays queued.
    pub why: String,
}

impl Incidents {
    /// Sends what waits: what may be tried now, or everything if `at_once`.
    pub fn flush(&self, id: &str, actor: &str, routes: &[Route], at_once: bool) -> Result<Delivered> {
        let (waiting, troubles) = self.messages(id)?;
        let mut delivered = Delivered { outcomes: Vec::new(), troubles };
        if !waiting.iter().any(Queued::is_open) {
            return Ok(delivered);
        }
        let _sender = self.sender(id)?;
        // Once more: whoever sent until now has changed it.
        let (waiting, _) = self.messages(id)?;
        for mut queued in waiting.into_iter().filter(Queued::is_open) {
            if self.believe_the_journal(id, &mut queued)? {
                self.keep(id, &queued)?;
            }
            let now = Timestamp::now();
            let before = queued.clone();
            for at in 0..queued.channels.len() {
                let Some(channel) = queued.channels.get(at).cloned() else { continue };
                if channel.is_open() && (at_once || channel.not_before <= now) {
                    let tried = self.attempt(id, actor, routes, &before, channel, &mut delivered);
                    queued.channels[at] = tried;
                    if let Err(report) = self.keep(id, &queued) {
                        delivered.troubles.push(report.headline);
                    }
                }
            }
        }
        Ok(delivered)
    }

    /// What the journal knows as sent is not sent again: a crash came between it and the file. True if there was any.
    fn believe_the_journal(&self, id: &str, queued: &mut Queued) -> Result<bool> {
        let standing = self.view(id)?.standing;
        let known = standing.messages.iter().find(|known| known.id == queued.message);
        let before = queued.clone();
        for channel in queued.channels.iter_mut().filter(|channel| channel.is_open()) {
            let told = known.and_then(|known| known.channels.iter().find(|told| told.name == channel.name));
            match told.map(|told| (told.state, told.at)) {
                Some((ChannelState::Sent, at)) => channel.sent_at = Some(at),
                Some((ChannelState::Dropped, _)) => channel.dropped = true,
                _ => {}
            }
        }
        Ok(*queued != before)
    }

    /// One try; the channel afterwards. The journal is told before the file, which then can only be behind.
    fn attempt(
        &self,
        id: &str,
        actor: &str,
        routes: &[Route],
        queued: &Queued,
        mut channel: Waiting,
        delivered: &mut Delivered,
    ) -> Waiting {
        let route = routes.iter().find(|route| route.name == channel.name);
        let result = match route {
            Some(route) => route.post(id, queued),
            None => Err("no webhook of this name is configured any more".to_owned()),
        };
        channel.attempts = channel.attempts.saturating_add(1);
        let (message, name, attempt) = (queued.message.clone(), channel.name.clone(), channel.attempts);
        let now = Timestamp::now();
        let fact = match &result {
            Ok(()) => {
                channel.sent_at = Some(now);
                let (audience, sha256) = (queued.audience, queued.sha256.clone());
                Some(Fact::MessageSent { message, channel: name, audience, sha256, attempt })
            }
            Err(why) => {
                let pause_s = FIRST_PAUSE_S << (attempt - 1).min(8);
                let later_us = i64::try_from(pause_s.min(MOST_PAUSE_S) * 1_000_000).unwrap_or(i64::MAX);
                channel.not_before = Timestamp(now.0.saturating_add(later_us));
                let is_news = channel.why != *why;
                is_news.then(|| Fact::MessageFailed { message, channel: name, attempt, why: why.clone() })
            }
        };
        if let Some(Err(report)) = fact.map(|fact| self.append(id, actor, &fact)) {
            delivered.troubles.push(report.headline);
        }
        channel.why = result.clone().err().unwrap_or_default();
        delivered.outcomes.push(Outcome {
            message: queued.message.clone(),
            channel: channel.name.clone(),
            sent: result.is_ok(),
            why: channel.why.clone(),
        });
        channel
    }
}
