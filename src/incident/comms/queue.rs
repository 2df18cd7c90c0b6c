//! The queue: one durable file per message in the incident's folder, there before the first try.
//!
//! Holds texts and names of channels, never an address. A file stays after its message was sent; nothing is removed.

use crate::base::files::atomic_replace;
use crate::base::state::{OpId, give_to_owner_of_folder, make_folder};
use crate::base::{Report, Result, Timestamp};
use crate::incident::Incidents;
use crate::journal::{Audience, Fact, sha256};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The folder in that of the incident.
const FOLDER: &str = "comms";
/// Whoever holds it sends.
const LOCK: &str = "lock";
/// A message is no larger.
const MOST_BYTES: usize = 8192;
/// Permissions of the files.
const MODE: u32 = 0o640;

/// A message and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// Its name.
    pub message: String,
    /// For whom.
    pub audience: Audience,
    /// When it was written.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// The text as it is sent.
    pub text: String,
    /// SHA-256 of the text.
    pub sha256: String,
    /// The end of the journal when it was written.
    pub head: String,
    /// By which channels.
    pub channels: Vec<Waiting>,
}

/// How far a message is on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its name.
    pub name: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Not to be tried before.
    pub not_before: Timestamp,
    /// When it was taken.
    pub sent_at: Option<Timestamp>,
    /// True if it is not to be tried any more.
    pub dropped: bool,
    /// Why it was not taken.
    pub why: String,
}

impl Waiting {
    /// True if it is still to be sent.
    pub fn is_open(&self) -> bool {
        self.sent_at.is_none() && !self.dropped
    }
}

impl Queued {
    /// True if some channel has not taken it and is to be tried again.
    pub fn is_open(&self) -> bool {
        self.channels.iter().any(Waiting::is_open)
    }
}

impl Incidents {
    /// The text as it is sent: with the end of the journal, which whoever gets it then bears witness to.
    pub fn with_head(&self, id: &str, text: &str) -> Result<(String, String)> {
        let head = self.verify(id, None)?.end.to_string();
        Ok((format!("{}\nRecord {head}", text.trim_end()), head))
    }

    /// Queues a message for these channels: first its file, then the journal.
    pub fn queue(
        &self,
        id: &str,
        actor: &str,
        audience: Audience,
        text: &str,
        channels: &[String],
    ) -> Result<Queued> {
        if text.trim().is_empty() || text.len() > MOST_BYTES {
            return Err(Report::usage(format!("a message has between 1 and {MOST_BYTES} bytes")));
        }
        let (text, head) = self.with_head(id, text)?;
        let at = Timestamp::now();
        let waiting = |name: &String| Waiting {
            name: name.clone(),
            attempts: 0,
            not_before: at,
            sent_at: None,
            dropped: false,
            why: String::new(),
        };
        let queued = Queued {
            message: OpId::new("message", at)?.to_string(),
            audience,
            at,
            by: actor.to_owned(),
            sha256: sha256(text.as_bytes()),
            text,
            head,
            channels: channels.iter().map(waiting).collect(),
        };
        self.keep(id, &queued)?;
        let Queued { message, text, sha256, head, .. } = queued.clone();
        let channels = channels.to_vec();
        self.append(id, actor, &Fact::MessageQueued { message, audience, channels, text, sha256, head })?;
        Ok(queued)
    }

    /// Every message of an incident, oldest first; what cannot be read is told among the second.
    pub fn messages(&self, id: &str) -> Result<(Vec<Queued>, Vec<String>)> {
        let folder = self.known(id)?.join(FOLDER);
        let unreadable =
            |error: io::Error| Report::failed(format!("cannot list {}: {error}", folder.display()));
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            entries => entries.map_err(unreadable)?,
        };
        let (mut messages, mut troubles) = (Vec::new(), Vec::new());
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(message) => messages.push(message),
                Err(error) => {
                    troubles.push(format!("the message in {} cannot be read: {error}", path.display()));
                }
            }
        }
        messages.sort_by(|a, b| (a.at, &a.message).cmp(&(b.at, &b.message)));
        Ok((messages, troubles))
    }

    /// Gives a message up on every channel that has not taken it.
    pub fn drop_message(&self, id: &str, actor: &str, message: &str, why: &str) -> Result<()> {
        let _sender = self.sender(id)?;
        let (messages, _) = self.messages(id)?;
        let Some(mut queued) =
            messages.into_iter().find(|queued| queued.message == message && queued.is_open())
        else {
            return Err(Report::usage(format!("no message {message} of incident {id} waits to be sent"))
                .hint("`pgmayday incident comms status` lists those that do"));
        };
        for channel in queued.channels.iter_mut().filter(|channel| channel.is_open()) {
            channel.dropped = true;
            why.clone_into(&mut channel.why);
            let (message, channel) = (message.to_owned(), channel.name.clone());
            self.append(id, actor, &Fact::MessageDropped { message, channel, why: why.to_owned() })?;
        }
        self.keep(id, &queued)
    }

    /// Writes a message down, durably.
    pub(super) fn keep(&self, id: &str, queued: &Queued) -> Result<()> {
        let folder = self.known(id)?.join(FOLDER);
        // Names of messages are made here, but a file may have been put here by somebody else.
        let name: OpId = queued.message.parse()?;
        let path = folder.join(format!("{name}.json"));
        let kept = serde_json::to_vec(queued).map_err(io::Error::from).and_then(|bytes| {
            make_folder(&folder)?;
            atomic_replace(&path, &bytes, MODE)?;
            give_to_owner_of_folder(&path)
        });
        kept.map_err(|error| Report::failed(format!("cannot write {}: {error}", path.display())))
    }

    /// The lock of whoever sends; waits for the one before, whose calls all end in time.
    pub(super) fn sender(&self, id: &str) -> Result<File> {
        let folder: PathBuf = self.known(id)?.join(FOLDER);
        let path = folder.join(LOCK);
        let opened = make_folder(&folder).and_then(|()| {
            let file = File::options().create(true).append(true).open(&path)?;
            give_to_owner_of_folder(&path)?;
            file.lock()?;
            Ok(file)
        });
        opened.map_err(|error| Report::failed(format!("cannot lock {}: {error}", path.display())))
    }
}

fn read(path: &Path) -> io::Result<Queued> {
    let queued: Queued = serde_json::from_slice(&std::fs::read(path)?)?;
    let is_its_own = path.file_stem().and_then(|stem| stem.to_str()) == Some(&queued.message);
    if is_its_own { Ok(queued) } else { Err(io::Error::other("it bears another name")) }
}
