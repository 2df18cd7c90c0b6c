//! Verifying a journal: every line's hash, the chain, and what proves the end.
//!
//! Reads only. It tells everything it finds, and says which witness stood behind its answer.

use super::chain::{Contents, FIRST_PREVIOUS, Line, Torn};
use super::head::{Head, Verdict};
use super::{Fact, Journal, JournalError, Witness};
use serde::Serialize;
use std::path::Path;

/// What verifying a journal found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// True if nothing was found.
    pub ok: bool,
    /// How many entries there are.
    pub entries: u64,
    /// What was found, in the order of the lines.
    pub findings: Vec<Finding>,
    /// What proves that nothing was removed from the end, and up to which entry.
    pub stood_behind: Vec<Proof>,
    /// What an interrupted write left at the end; it is no entry and no damage.
    pub torn: Option<Torn>,
    /// The end of the chain: what is to be written down elsewhere as a witness.
    pub end: Witness,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The line of the file, from 1; nothing if it is about the end.
    pub line: Option<u64>,
    /// The number the entry bears, if it can be read.
    pub seq: Option<u64>,
    /// What.
    pub what: String,
}

/// Something that proves a journal up to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Proof {
    /// The file beside the journal.
    HeadFile {
        /// The last entry it proves.
        up_to: u64,
    },
    /// What was given from elsewhere.
    Witness {
        /// The last entry it proves.
        up_to: u64,
    },
}

/// Verifies the journal in `folder`, also against `witness` if one was written down elsewhere.
pub fn verify(folder: &Path, witness: Option<&Witness>) -> Result<Verification, JournalError> {
    read_verified(folder, witness).map(|(_, verification)| verification)
}

/// The journal in `folder` and what verifying exactly these lines found.
pub fn read_verified(
    folder: &Path,
    witness: Option<&Witness>,
) -> Result<(Contents, Verification), JournalError> {
    let (contents, head) = Journal::at(folder).read_with_head()?;
    let verification = judge(&contents, &head, witness);
    Ok((contents, verification))
}

/// What these lines, this head and this witness are worth together.
fn judge(contents: &Contents, head: &Head, witness: Option<&Witness>) -> Verification {
    let mut findings = chain(&contents.lines);
    let mut stood_behind = Vec::new();
    let mut about_the_end = |what| findings.push(Finding { line: None, seq: None, what });
    if contents.lines.is_empty() {
        about_the_end("the journal has no entry".to_owned());
    }
    if let Some(witness) = witness {
        match witness.judge(contents, "the witness") {
            Verdict::Proves { seq, .. } => stood_behind.push(Proof::Witness { up_to: seq }),
            Verdict::Contradicts(what) => about_the_end(what),
        }
    }
    match head.judge(contents) {
        Verdict::Proves { seq, behind } => {
            stood_behind.push(Proof::HeadFile { up_to: seq });
            // One behind is a crash between an entry and its head; the next writer catches up before it writes.
            if behind > 1 {
                about_the_end(format!(
                    "the head file stops at entry {seq}: {behind} entries came without it"
                ));
            }
        }
        // A copy of the journal alone is as good as the witness that came with it.
        Verdict::Contradicts(_) if *head == Head::Missing && !stood_behind.is_empty() => {}
        Verdict::Contradicts(what) => about_the_end(what),
    }
    Verification {
        ok: findings.is_empty(),
        entries: contents.lines.len() as u64,
        findings,
        stood_behind,
        torn: contents.torn.clone(),
        end: Witness::of(contents.end()),
    }
}

/// Every line by itself and against the one before.
fn chain(lines: &[Line]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| lines.get(at));
        let seq = line.entry.as_ref().ok().map(|entry| entry.seq);
        let wrong = of_line(line, before);
        findings.extend(wrong.into_iter().map(|what| Finding { line: Some(line.number), seq, what }));
    }
    findings
}

fn of_line(line: &Line, before: Option<&Line>) -> Vec<String> {
    let entry = match &line.entry {
        Ok(entry) => entry,
        Err(why) => return vec![format!("is not an entry: {why}")],
    };
    let mut wrong = Vec::new();
    match &line.stated {
        Some(stated) if *stated == line.computed => {}
        Some(_) => wrong.push("was altered: its hash is not that of its bytes".to_owned()),
        None => wrong.push("was altered: it does not end with its hash as entries do".to_owned()),
    }
    let expected = before.map_or(1, |before| before.seq().saturating_add(1));
    if entry.seq != expected {
        wrong.push(format!("bears the number {}, expected was {expected}", entry.seq));
    }
    // The stated hash of a line that was altered is the one its follower was written with.
    let continues = before.map_or(entry.previous == FIRST_PREVIOUS, |before| {
        entry.previous == before.computed || before.stated.as_ref() == Some(&entry.previous)
    });
    if !continues {
        wrong.push(
            "does not continue the line before: something was altered, removed, moved or put in".to_owned(),
        );
    }
    if let Fact::Damaged { text } = &entry.fact {
        wrong.push(format!("tells of damage found earlier: {text}"));
    }
    wrong
}

impl Verification {
    /// The answer in one sentence, with what stood behind it.
    pub fn sentence(&self) -> String {
        let entries = counted(self.entries, "entry", "entries");
        let Some(first) = self.findings.first() else {
            let torn = self.torn.as_ref().map_or(String::new(), |torn| {
                format!("; {} after it are an interrupted write", counted(torn.bytes, "byte", "bytes"))
            });
            return format!("{entries}, each continues the one before; {}{torn}", self.behind());
        };
        let findings = counted(self.findings.len() as u64, "finding", "findings");
        format!("damaged: {findings} in {entries}; first: {first}")
    }

    /// What proves the end, in words.
    pub fn behind(&self) -> String {
        if self.stood_behind.is_empty() {
            return "nothing proves that the end is the end".to_owned();
        }
        let words = self.stood_behind.iter().map(|proof| {
            let (name, up_to) = match proof {
                Proof::HeadFile { up_to } => ("the head file", up_to),
                Proof::Witness { up_to } => ("the witness", up_to),
            };
            format!("{name} proves it up to entry {up_to}")
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line} {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

fn counted(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}
