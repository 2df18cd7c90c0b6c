//! What was said to whom: messages and what became of them on each channel, and what people told by other means.

use super::{Standing, plain};
use crate::base::Timestamp;
use crate::journal::{Audience, Entry, Fact};
use serde::Serialize;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Its name.
    pub id: String,
    /// For whom.
    pub audience: Audience,
    /// When it was queued.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// The text, as it was written.
    pub text: String,
    /// SHA-256 of the text.
    pub sha256: String,
    /// What became of it.
    pub channels: Vec<Channel>,
}

/// What became of a message on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: ChannelState,
    /// When that was told.
    pub at: Timestamp,
    /// Why it was not taken, or is not sent any more.
    pub why: String,
}

/// How a message stands on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// To be sent.
    Waiting,
    /// Was not taken, to be sent again.
    Failed,
    /// Was taken.
    Sent,
    /// Is not sent any more.
    Dropped,
}

impl Message {
    /// True if some channel has not taken it yet.
    pub fn is_waiting(&self) -> bool {
        self.channels
            .iter()
            .any(|channel| matches!(channel.state, ChannelState::Waiting | ChannelState::Failed))
    }
}

impl Standing {
    pub(super) fn apply_talk(&mut self, entry: &Entry) {
        let at = entry.at;
        match &entry.fact {
            Fact::MessageQueued { message, audience, channels, text, sha256, .. } => {
                let channel = |name: &String| Channel {
                    name: plain(name),
                    state: ChannelState::Waiting,
                    at,
                    why: String::new(),
                };
                self.messages.push(Message {
                    id: plain(message),
                    audience: *audience,
                    at,
                    by: plain(&entry.actor),
                    text: text.clone(),
                    sha256: plain(sha256),
                    channels: channels.iter().map(channel).collect(),
                });
            }
            Fact::MessageSent { message, channel, audience, .. } => {
                self.channel(message, channel, ChannelState::Sent, at, "");
                self.told.insert(*audience, at);
            }
            Fact::MessageFailed { message, channel, why, .. } => {
                self.channel(message, channel, ChannelState::Failed, at, why);
            }
            Fact::MessageDropped { message, channel, why } => {
                self.channel(message, channel, ChannelState::Dropped, at, why);
            }
            Fact::Told { audience, .. } => {
                self.told.insert(*audience, at);
            }
            _ => {}
        }
    }

    /// What was taken stays taken.
    fn channel(&mut self, message: &str, channel: &str, state: ChannelState, at: Timestamp, why: &str) {
        let channels = self.messages.iter_mut().filter(|known| known.id == message);
        let known = channels.flat_map(|message| &mut message.channels).find(|known| known.name == channel);
        if let Some(known) = known.filter(|known| known.state != ChannelState::Sent) {
            (known.state, known.at, known.why) = (state, at, plain(why));
        }
    }
}
