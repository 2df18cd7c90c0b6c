//! The one table of keys: what a key does on a screen. Footer and help are drawn from it, so shown keys always work.
//!
//! A screen names its bindings; the app adds those that hold everywhere. A key means one thing at a time.

use super::input::Key;
use std::borrow::Cow;

/// What a person wants, independent of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cmd {
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// To the left, or less.
    Left,
    /// To the right, or more.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first.
    First,
    /// To the last.
    Last,
    /// To the next pane or field.
    NextPane,
    /// To the pane or field before.
    PreviousPane,
    /// Open, choose, go on.
    Open,
    /// One level up.
    Back,
    /// Begin to filter.
    Filter,
    /// Sort by the next column.
    Sort,
    /// Look again.
    Refresh,
    /// Open the palette.
    Palette,
    /// Show the keys of this screen.
    Help,
    /// Leave.
    Quit,
    /// Give the terminal back.
    Suspend,
    /// To the board.
    Board,
    /// To the backups.
    Backups,
    /// To the WAL ranges.
    Wal,
    /// To the target picker.
    Recover,
    /// To the ways out beside each other.
    Options,
    /// To the running or last operation.
    Operation,
    /// To the runbook of the open incident.
    Runbook,
    /// Take this way on from the runbook's node.
    Way(u8),
    /// Back by one node of the runbook.
    StepBack,
    /// Show all that was seen, and how to look by hand.
    Evidence,
    /// Draw the whole runbook.
    Tree,
    /// To the journal of the open incident.
    Journal,
    /// To roles, tasks and follow-ups.
    People,
    /// To what was and is to be said to whom.
    Talk,
    /// To the checklists before and after a restore.
    Checklist,
    /// To what the configuration means.
    Doctor,
    /// To the list of incidents.
    History,
    /// Declare an incident.
    Incident,
    /// Write a note into the journal.
    Note,
    /// Show the exact commands.
    Commands,
    /// Show the log: warnings of an operation.
    Log,
    /// Zoom in.
    ZoomIn,
    /// Zoom out.
    ZoomOut,
    /// Answer: it is right.
    AnswerRight,
    /// Answer: the damage is in it.
    AnswerDamaged,
    /// Resume a lost operation.
    Resume,
    /// Stop an operation; lives only in the palette.
    Cancel,
    /// Close the incident; lives only in the palette.
    CloseIncident,
    /// Give a variable its value.
    Fill,
    /// Carry out what is shown.
    Run,
    /// Approve the plan that somebody else wants to start.
    Approve,
    /// Mark the line.
    Mark,
    /// Take the chosen role.
    TakeRole,
    /// Offer the chosen role.
    OfferRole,
    /// Take over the chosen role, which was offered.
    Acknowledge,
    /// Give somebody a task.
    NewTask,
    /// Write down what is to be done afterwards.
    NewFollowUp,
    /// The chosen one is done.
    Finish,
    /// The chosen one is given up.
    GiveUp,
    /// The chosen item is not as it is to be.
    NotSo,
    /// The chosen item does not apply.
    NotApplicable,
    /// Nobody can tell of the chosen item any more.
    Untold,
    /// Show the whole draft, as it would be sent.
    Draft,
    /// Send the draft that is shown.
    Send,
    /// Add a sentence to the draft.
    Sentence,
    /// Add to the draft what is promised.
    Promise,
    /// Write down that somebody was told by other means.
    Told,
    /// Try again now to send what waits.
    Flush,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The keys that do it; the first is shown.
    pub keys: Vec<Key>,
    /// What they do.
    pub cmd: Cmd,
    /// One or two words for the footer.
    pub label: Cow<'static, str>,
    /// One sentence for the help.
    pub help: Cow<'static, str>,
    /// Why it cannot be used now; nothing if it can.
    pub disabled: Option<String>,
    /// True if it stands in the footer; the rest is in the help.
    pub in_footer: bool,
}

impl Binding {
    /// A binding shown in the footer and the help.
    pub fn new(
        keys: &[Key],
        cmd: Cmd,
        label: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (label, help) = (label.into(), help.into());
        Self { keys: keys.to_vec(), cmd, label, help, disabled: None, in_footer: true }
    }

    /// Only in the help.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.in_footer = false;
        self
    }

    /// Not usable now, for this reason, if there is one.
    #[must_use]
    pub fn unless(mut self, reason: Option<String>) -> Self {
        self.disabled = reason;
        self
    }
}

/// The keys that mean the same on every screen. A screen's own binding of the same key comes first.
pub fn everywhere() -> Vec<Binding> {
    use Key::{Char, Ctrl};
    let quiet = |keys: &[Key], cmd, label: &'static str, help: &'static str| {
        Binding::new(keys, cmd, label, help).quiet()
    };
    vec![
        quiet(&[Key::Up, Char('k')], Cmd::Up, "up", "One line up."),
        quiet(&[Key::Down, Char('j')], Cmd::Down, "down", "One line down."),
        quiet(&[Key::Left, Char('h')], Cmd::Left, "left", "To the left."),
        quiet(&[Key::Right, Char('l')], Cmd::Right, "right", "To the right."),
        quiet(&[Key::PageUp], Cmd::PageUp, "page up", "A page up."),
        quiet(&[Key::PageDown], Cmd::PageDown, "page down", "A page down."),
        quiet(&[Char('g'), Key::Home], Cmd::First, "first", "To the first line."),
        quiet(&[Char('G'), Key::End], Cmd::Last, "last", "To the last line."),
        quiet(&[Key::Tab], Cmd::NextPane, "next", "To the next pane or field."),
        quiet(&[Key::BackTab], Cmd::PreviousPane, "previous", "To the pane or field before."),
        quiet(&[Key::Enter], Cmd::Open, "open", "Open what is chosen."),
        quiet(&[Key::Esc], Cmd::Back, "back", "One level up."),
        quiet(&[Char('/')], Cmd::Filter, "filter", "Show only lines with this text."),
        quiet(&[Ctrl('z')], Cmd::Suspend, "suspend", "Give the terminal to the shell; fg returns."),
        Binding::new(&[Char(':')], Cmd::Palette, "command", "Commands by name."),
        Binding::new(&[Char('r'), Ctrl('l')], Cmd::Refresh, "refresh", "Look at everything again now."),
        Binding::new(&[Char('?')], Cmd::Help, "help", "The keys of this screen."),
        Binding::new(&[Char('q'), Ctrl('c')], Cmd::Quit, "quit", "Leave the console; what runs goes on."),
    ]
}
