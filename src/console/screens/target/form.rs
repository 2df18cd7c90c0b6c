//! What a person chose: the kind of target, its fields, and the request they make. Pure; asks nobody.

use crate::base::{BackupLabel, Lsn, TargetTime, Timestamp, Xid};
use crate::console::model::Model;
use crate::model::plan::RecoverRequest;

/// Earlier moments that are tried after the first, at most.
const MOST_FALLBACKS: usize = 8;

/// A kind of target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// The last moment at which the application's check was right.
    LastRight,
    /// A moment.
    #[default]
    Time,
    /// A restore point.
    Name,
    /// A position in the log.
    Lsn,
    /// A transaction.
    Xid,
    /// Where the backup becomes consistent.
    Immediate,
    /// The end of the archive.
    Latest,
}

/// A line of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// A kind of target.
    Choice(Choice),
    /// The timeline to follow.
    Timeline,
    /// The backup set.
    Set,
    /// Just before the target instead of just after.
    Exclusive,
    /// Ask before promotion.
    Asks,
}

/// Every line, from the top.
pub(super) const ROWS: [Row; 11] = [
    Row::Choice(Choice::LastRight),
    Row::Choice(Choice::Time),
    Row::Choice(Choice::Name),
    Row::Choice(Choice::Lsn),
    Row::Choice(Choice::Xid),
    Row::Choice(Choice::Immediate),
    Row::Choice(Choice::Latest),
    Row::Timeline,
    Row::Set,
    Row::Exclusive,
    Row::Asks,
];

impl Row {
    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Choice(Choice::LastRight) => "last right moment of the application's check",
            Self::Choice(Choice::Time) => "time",
            Self::Choice(Choice::Name) => "restore point",
            Self::Choice(Choice::Lsn) => "LSN",
            Self::Choice(Choice::Xid) => "transaction",
            Self::Choice(Choice::Immediate) => "end of the backup",
            Self::Choice(Choice::Latest) => "latest: the end of the archive",
            Self::Timeline => "timeline",
            Self::Set => "backup set",
            Self::Exclusive => "stop just before the target",
            Self::Asks => "ask me before promotion",
        }
    }

    /// True for a line with a text in it.
    pub(super) fn has_text(self) -> bool {
        use Choice::{Lsn, Name, Time, Xid};
        matches!(self, Self::Choice(Time | Name | Lsn | Xid) | Self::Timeline | Self::Set)
    }

    /// How the text is to be written.
    pub(super) fn form(self) -> &'static str {
        match self {
            Self::Choice(Choice::Time) => "YYYY-MM-DD HH:MM:SS[.f][+ZZ]; no zone means this host's",
            Self::Choice(Choice::Name) => "the name given to pg_create_restore_point",
            Self::Choice(Choice::Lsn) => "for example 0/2000028",
            Self::Choice(Choice::Xid) => "the number of a transaction",
            Self::Timeline => "a number; empty follows the timeline the cluster is on",
            Self::Set => "a backup's label; empty lets the plan choose the newest that fits",
            _ => "",
        }
    }
}

/// The form.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// The kind of target.
    pub(super) choice: Choice,
    /// Texts of the lines that have one, by the line's number.
    pub(super) texts: [String; ROWS.len()],
    /// Just before the target.
    pub(super) exclusive: bool,
    /// Ask before promotion.
    pub(super) asks: bool,
}

impl Default for Form {
    fn default() -> Self {
        Self { choice: Choice::default(), texts: Default::default(), exclusive: false, asks: true }
    }
}

/// The number of a line.
pub(super) fn number(row: Row) -> usize {
    ROWS.iter().position(|other| *other == row).unwrap_or(0)
}

/// The moments at which the application's check was right, newest first.
pub(super) fn right_moments(model: &Model) -> &[Timestamp] {
    let application = model.board.application.as_ref().and_then(|fact| fact.value());
    application.map_or(&[], |application| &application.last_right)
}

/// Why the application's last right moment cannot be chosen.
pub(super) fn no_right_moment(model: &Model) -> Option<&'static str> {
    match &model.board.application {
        None => Some("no application check is configured"),
        Some(_) if right_moments(model).is_empty() => Some("the check has not been seen right yet"),
        Some(_) => None,
    }
}

impl Form {
    /// The text of a line.
    pub(super) fn text(&self, row: Row) -> &str {
        self.texts.get(number(row)).map_or("", |text| text.trim())
    }

    /// What is wrong with a line, if anything is; an empty line of a target that is not chosen is not wrong.
    pub(super) fn error(&self, row: Row, model: &Model) -> Option<String> {
        let text = self.text(row);
        let chosen = row == Row::Choice(self.choice);
        if text.is_empty() && row.has_text() {
            return (chosen && matches!(row, Row::Choice(_)))
                .then(|| format!("to be filled in: {}", row.form()));
        }
        let said = |error: crate::base::units::UnitError| error.to_string();
        match row {
            Row::Choice(Choice::LastRight) => no_right_moment(model).filter(|_| chosen).map(str::to_owned),
            Row::Choice(Choice::Time) => TargetTime::parse(text).err().map(|error| error.to_string()),
            Row::Choice(Choice::Lsn) => text.parse::<Lsn>().err().map(said),
            Row::Choice(Choice::Xid) => text.parse::<Xid>().err().map(said),
            Row::Timeline => match text.parse::<u32>() {
                Ok(1..) => None,
                _ => Some(format!("'{text}' is not a timeline (a number from 1)")),
            },
            Row::Set => text.parse::<BackupLabel>().err().map(said),
            _ => None,
        }
    }

    /// True if "just before" means something for the chosen target.
    pub(super) fn can_be_exclusive(&self) -> bool {
        matches!(self.choice, Choice::Time | Choice::Lsn | Choice::Xid)
    }

    /// The request, or what is still wrong: one sentence.
    pub(super) fn request(&self, model: &Model) -> Result<RecoverRequest, String> {
        let stanza = model.board.identity.stanza.clone().ok_or("no stanza is configured or chosen")?;
        for row in [Row::Choice(self.choice), Row::Timeline, Row::Set] {
            if let Some(error) = self.error(row, model) {
                return Err(error);
            }
        }
        let text = self.text(Row::Choice(self.choice)).to_owned();
        let (kind, targets) = match self.choice {
            Choice::LastRight => {
                let moments = right_moments(model).iter().take(1 + MOST_FALLBACKS);
                ("time", moments.map(ToString::to_string).collect())
            }
            // The text PostgreSQL reads like we do; never the one of a host's zone.
            Choice::Time => ("time", vec![TargetTime::parse(&text).map_err(|error| error.to_string())?.text]),
            Choice::Name => ("name", vec![text]),
            Choice::Lsn => ("lsn", vec![text]),
            Choice::Xid => ("xid", vec![text]),
            Choice::Immediate => ("immediate", Vec::new()),
            Choice::Latest => ("default", Vec::new()),
        };
        let set = self.text(Row::Set);
        Ok(RecoverRequest {
            stanza,
            kind: kind.to_owned(),
            targets,
            exclusive: self.exclusive && self.can_be_exclusive(),
            timeline: self.text(Row::Timeline).parse().ok(),
            set: (!set.is_empty()).then(|| set.to_owned()),
            asks: self.asks,
            no_first_backup: false,
        })
    }
}
