//! The palette: commands by name. What has no key, because it must not be pressed by accident, is only here.

use super::field::Field;
use crate::console::input::Key;
use crate::console::keymap::Cmd;
use crate::console::model::Model;

/// A command, the names it answers to (the first is shown), and one sentence.
type Entry = (Cmd, &'static [&'static str], &'static str);

/// Every command with a name.
const ENTRIES: &[Entry] = &[
    (Cmd::Board, &["board", "home"], "what is alive, what is protected"),
    (Cmd::Backups, &["backups", "catalog", "info"], "the backups of all repositories"),
    (Cmd::Wal, &["wal", "archive"], "the archived WAL and its gaps"),
    (Cmd::Recover, &["recover", "restore", "target", "pitr"], "choose a target and see the plan"),
    (Cmd::Options, &["options", "compare", "ways"], "the ways out beside each other"),
    (Cmd::Operation, &["operation", "attach", "running"], "the operation that runs or ran last"),
    (Cmd::Runbook, &["runbook", "guide", "question"], "where the open incident stands in its runbook"),
    (Cmd::Journal, &["journal"], "the journal of the open incident"),
    (Cmd::People, &["people", "team", "roles", "tasks"], "who is who, who does what until when"),
    (Cmd::Talk, &["comms", "tell", "updates"], "what is to be said to whom and when"),
    (Cmd::Checklist, &["checklist", "check"], "what must be so before and after a restore"),
    (Cmd::History, &["history", "incidents"], "all incidents with their recovery times"),
    (Cmd::Doctor, &["doctor", "config"], "what the configuration means"),
    (Cmd::Incident, &["incident", "declare"], "declare an incident: the clock runs"),
    (Cmd::Note, &["note"], "write a note into the journal"),
    (Cmd::CloseIncident, &["close incident", "close"], "close the open incident"),
    (Cmd::Approve, &["approve"], "approve the plan that somebody else wants to start"),
    (Cmd::Cancel, &["cancel", "stop"], "ask the running operation to stop"),
    (Cmd::Resume, &["resume", "continue"], "take a lost operation up again"),
    (Cmd::Log, &["log", "messages", "warnings"], "warnings and what was said last"),
    (Cmd::Refresh, &["refresh", "reload"], "look at everything again now"),
    (Cmd::Suspend, &["suspend", "shell"], "give the terminal to the shell; fg returns"),
    (Cmd::Help, &["help", "keys"], "the keys of this screen"),
    (Cmd::Quit, &["quit", "q", "exit", "leave"], "leave the console; what runs goes on"),
];

/// What a key in the palette leads to.
pub(super) enum Chosen {
    /// Nothing yet.
    Nothing,
    /// This command.
    Run(Cmd),
}

/// The palette while it is open.
#[derive(Debug, Default)]
pub(in crate::console) struct Palette {
    pub(super) field: Field,
    chosen: usize,
    /// Why the last choice was not run.
    pub(super) refused: Option<String>,
}

/// A line of the palette: name, sentence, why it cannot be used.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) why_not: Option<String>,
    cmd: Cmd,
}

impl Palette {
    /// The lines that fit what was typed: exact names first, then those that begin so, then those that hold it.
    pub(super) fn rows(&self, model: &Model) -> Vec<Row> {
        let wanted = self.field.text().trim().to_lowercase();
        let rank = |names: &[&str]| {
            let exact = names.iter().any(|name| *name == wanted);
            let begins = names.iter().any(|name| name.starts_with(&wanted));
            let holds = names.iter().any(|name| name.contains(&wanted));
            [exact, begins, holds].iter().position(|fits| *fits)
        };
        let mut found: Vec<(usize, &Entry)> =
            ENTRIES.iter().filter_map(|entry| Some((rank(entry.1)?, entry))).collect();
        found.sort_by_key(|(rank, _)| *rank);
        let row = |(_, (cmd, names, about)): (usize, &Entry)| Row {
            name: names.first().copied().unwrap_or_default(),
            about,
            why_not: model.why_not(*cmd),
            cmd: *cmd,
        };
        found.into_iter().map(row).collect()
    }

    /// The chosen line of those.
    pub(super) fn at(&self) -> usize {
        self.chosen
    }

    pub(super) fn key(&mut self, key: Key, model: &Model) -> Chosen {
        let rows = self.rows(model);
        self.refused = None;
        match key {
            Key::Up | Key::BackTab => self.chosen = self.chosen.saturating_sub(1),
            Key::Down | Key::Tab => self.chosen = (self.chosen + 1).min(rows.len().saturating_sub(1)),
            Key::Enter => match rows.get(self.chosen) {
                Some(Row { why_not: None, cmd, .. }) => return Chosen::Run(*cmd),
                Some(Row { why_not: why, .. }) => self.refused.clone_from(why),
                None => self.refused = Some("there is no command of this name".to_owned()),
            },
            key => {
                if self.field.key(key) {
                    self.chosen = 0;
                }
            }
        }
        Chosen::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Vec<&'static str> {
        let mut palette = Palette::default();
        palette.field.paste(text);
        palette.rows(&Model::default()).iter().map(|row| row.name).collect()
    }

    #[test]
    fn names_and_aliases_lead_to_commands() {
        assert_eq!(typed("q")[0], "quit");
        assert_eq!(typed("pitr"), ["recover"]);
        assert_eq!(typed("re")[0], "recover");
        assert_eq!(typed("Close Incident"), ["close incident"]);
        assert_eq!(typed("").len(), ENTRIES.len());
        assert!(typed("xyzzy").is_empty());
    }

    #[test]
    fn no_two_commands_share_a_name() {
        let mut names: Vec<_> = ENTRIES.iter().flat_map(|(_, names, _)| *names).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_command_that_cannot_be_used_says_why() {
        let mut palette = Palette::default();
        palette.field.paste("cancel");
        assert!(matches!(palette.key(Key::Enter, &Model::default()), Chosen::Nothing));
        assert_eq!(palette.refused.as_deref(), Some("no operation is running"));
        palette.field = Field::new("board");
        assert!(matches!(palette.key(Key::Enter, &Model::default()), Chosen::Run(Cmd::Board)));
    }
}
