//! `pgmayday board`, and `pgmayday` alone where there is no terminal: what is alive, what is protected, what is next.
//!
//! Looks and never changes anything; waits a few seconds at most. Text of 80 columns, or the facts and the judgement as
//! `pgmayday.board/1`.

use super::command::{CommandSpec, Run, nothing_own};
use super::output::{self, Output};
use super::{Call, site};
use crate::base::{Result, Timestamp};
use crate::config::EVERY_COMMAND;
use crate::model::board::Board;
use crate::model::board::judge::{Judgement, Line, State, judge, span};
use crate::model::op::Life;
use crate::survey::Survey;
use serde::Serialize;
use std::time::Duration;

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "board",
    about: "Show what is alive, what is protected and what to do next",
    long_about: "Looks at the stanza's servers, their data directories, the repositories and what verifying them came \
                 to, the application's check, running operations, and what on this host stands in the way (stop files, \
                 holds, archiving that fails), for three seconds at most, and prints what it found with a judgement: what is \
                 broken, what is protected, how much would be lost. What did not answer in time is unknown, never \
                 good. --output=json has every fact with its age.",
    options_of: EVERY_COMMAND,
    reads_configuration: true,
    own: nothing_own,
    run: Run::Plain(run),
    failure_exit: None,
};

/// The longest wait for facts.
const LIMIT: Duration = Duration::from_secs(3);
/// The width of the text.
const COLUMNS: usize = 80;
/// The width of the name before each line's text.
const NAME: usize = 12;

#[derive(Serialize)]
struct Document<'a> {
    at: Timestamp,
    facts: &'a Board,
    judgement: &'a Judgement,
}

fn run(call: &Call) -> Result<()> {
    let site = site::site(call)?;
    // Without a place for operations there are none.
    let state = site::state(call, &site).ok();
    let survey = Survey::new(&call.config, &site, call.settings.stanza(), state.as_ref());
    let board = survey.once(LIMIT);
    let at = Timestamp::now();
    let judgement = judge(&board, at);
    match call.output {
        Output::Json => output::json("board", &Document { at, facts: &board, judgement: &judgement }),
        Output::Text => output::text(&text(&board, &judgement, at)),
    }
}

/// The board as text.
fn text(board: &Board, judgement: &Judgement, now: Timestamp) -> String {
    let mut out = vec![header(board, now)];
    line(&mut out, &judgement.headline, "");
    if board.identity.stanza.is_none() {
        out.extend(lesson(board));
    } else {
        title(&mut out, "CLUSTER");
        judgement.cluster.iter().for_each(|one| line(&mut out, one, &one.name));
        if judgement.cluster.is_empty() {
            out.push("  no server is configured: set pg1-path in the stanza's section".to_owned());
        }
        title(&mut out, "PROTECTION");
        judgement.protection.iter().for_each(|one| line(&mut out, one, &one.name));
        if board.repositories.is_empty() {
            out.push("  no repository is configured: set repo1-path in [global]".to_owned());
        }
        title(&mut out, "RECOVERY WINDOW");
        out.push(window(judgement));
    }
    title(&mut out, "NOW");
    operations(&mut out, board, now);
    out.extend(judgement.next.iter().map(|next| format!("  {}  {}", next.key, next.text)));
    if board.identity.stanza.is_some() {
        out.push("  `pgmayday` on a terminal opens the console, where these keys work".to_owned());
    }
    for warning in &board.warnings {
        wrapped(&mut out, "! ", warning);
    }
    out.join("\n")
}

fn header(board: &Board, now: Timestamp) -> String {
    let identity = &board.identity;
    let data_dir = board.members.iter().find_map(|member| member.data_dir.as_ref()?.value());
    let asked = board.members.iter().find_map(|member| member.server.value()?.version);
    let version = asked.or_else(|| data_dir.map(|facts| facts.version));
    let system_id = data_dir.map(|facts| facts.system_id.to_string());
    let tail = |id: String| format!("sysid …{}", &id[id.len().saturating_sub(4)..]);
    let parts = [
        Some(format!("{} @ {}", identity.stanza.as_deref().unwrap_or("no stanza"), identity.host)),
        version.map(|version| format!("PG {version}")),
        system_id.map(tail),
        identity.label.clone(),
    ];
    let left = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let right = now.to_utc().format("%H:%M:%S UTC").to_string();
    let room = COLUMNS.saturating_sub(right.len() + 1);
    format!("{} {right}", fit(&left, room))
}

/// Exactly so many columns: padded, or cut with an ellipsis.
fn fit(text: &str, columns: usize) -> String {
    let length = text.chars().count();
    if length <= columns {
        return format!("{text}{}", " ".repeat(columns - length));
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn title(out: &mut Vec<String>, name: &str) {
    let rule = "─".repeat(COLUMNS.saturating_sub(name.chars().count() + 3));
    out.push(format!("─ {name} {rule}"));
}

pub(super) fn symbol(state: State) -> char {
    match state {
        State::Ok => '✔',
        State::Late => '!',
        State::Unknown => '?',
        State::Failed => '✖',
    }
}

fn line(out: &mut Vec<String>, line: &Line, name: &str) {
    let head = if name.is_empty() {
        format!("{} ", symbol(line.state))
    } else {
        format!("{} {name:<NAME$} ", symbol(line.state))
    };
    wrapped(out, &head, &line.text);
    if let Some(next) = &line.next {
        let indent = " ".repeat(head.chars().count());
        wrapped(out, &format!("{indent}→ "), next);
    }
}

/// Words after a head, further lines indented to where the first began.
pub(super) fn wrapped(out: &mut Vec<String>, head: &str, text: &str) {
    let indent = head.chars().count();
    let mut current = head.trim_end().to_owned();
    let mut width = current.chars().count();
    let mut first = true;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        let gap = if first { indent - width } else { 1 };
        if !first && width + gap + length > COLUMNS {
            out.push(std::mem::take(&mut current));
            current = format!("{}{word}", " ".repeat(indent));
            width = indent + length;
        } else {
            current = format!("{current}{}{word}", " ".repeat(gap));
            width += gap + length;
        }
        first = false;
    }
    out.push(current);
}

fn window(judgement: &Judgement) -> String {
    let Some(window) = judgement.window else {
        return "? not known: it takes a backup and WAL that can be read".to_owned();
    };
    let moment = |at: Timestamp| at.to_utc().format("%Y-%m-%d %H:%M:%S").to_string();
    let hole = match window.missing {
        0 => String::new(),
        missing => format!(", {missing} segments missing"),
    };
    let state = if window.missing == 0 { State::Ok } else { State::Failed };
    let (from, to) = (moment(window.from), moment(window.to));
    format!("{} {from} … {to} UTC, repo{}{hole}", symbol(state), window.repo)
}

fn operations(out: &mut Vec<String>, board: &Board, now: Timestamp) {
    if let Some(incident) = &board.incident {
        let since = span(now.0 - incident.detected_at.0);
        out.push(format!("  incident {} for {since}: {}", incident.id, incident.reason));
    }
    for operation in &board.operations {
        let (state, life) = match (&operation.life, operation.done) {
            (Life::Ended, true) => (State::Ok, "done"),
            (Life::Ended, false) => (State::Failed, "failed"),
            (Life::Lost, _) => (State::Failed, "lost its worker"),
            (Life::Starting, _) => (State::Ok, "starts"),
            (Life::Running { .. }, _) => (State::Ok, "runs"),
            (Life::Unknown { .. }, _) => (State::Unknown, "cannot be told"),
        };
        let step = operation.step.as_ref().or(operation.ended.as_ref());
        let step = step.map(|step| format!(", {step}")).unwrap_or_default();
        wrapped(out, &format!("{} ", symbol(state)), &format!("{} {life}{step}", operation.summary));
    }
}

/// What to write where nothing is configured yet.
fn lesson(board: &Board) -> Vec<String> {
    if !board.identity.stanzas.is_empty() {
        return board.identity.stanzas.iter().map(|name| format!("  pgmayday --stanza={name}")).collect();
    }
    let mut lines = vec![String::new()];
    lines.extend(match board.identity.configuration.as_slice() {
        [] => vec!["  Nothing is read: there is no /etc/pgbackrest/pgbackrest.conf.".to_owned()],
        files => files.iter().map(|file| format!("  Read: {}", file.display())).collect(),
    });
    lines.extend(
        [
            "  Two settings name a cluster and what protects it:",
            "",
            "    [global]",
            "    repo1-path=/var/lib/pgbackrest",
            "    [main]",
            "    pg1-path=/var/lib/postgresql/15/main",
            "",
            "  `pgmayday lab demo` shows a recovery on a cluster made for it.",
        ]
        .map(str::to_owned),
    );
    lines
}
