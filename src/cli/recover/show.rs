//! The plan of a recovery as text, 80 columns wide: what, from where, what is lost, what was checked, what is done.

use crate::base::Bytes;
use crate::model::plan::{CheckState, RecoverPlan};

/// The narrowest terminal it must fit.
const COLUMNS: usize = 80;
/// Where the text behind a name begins.
const INDENT: usize = 12;

/// The plan, top to bottom in the order an operator decides.
pub(in crate::cli) fn plan(plan: &RecoverPlan) -> String {
    let mut out = Vec::new();
    let mut line = |name: &str, text: &str| out.extend(row(name, text));
    line("recover", &format!("{} in {}", plan.request.stanza, plan.data_dir.display()));
    line("to", &to(plan));
    for other in plan.request.targets.iter().skip(1) {
        line("or to", other);
    }
    if let (Some(repo), Some(set)) = (plan.repo, &plan.set) {
        let ended = plan.set_stop.map_or_else(String::new, |at| format!(", ended {at}"));
        line("set", &format!("{set} in repo{repo}{ended}"));
        line("copy", &format!("{} in {} files", Bytes(plan.copy_bytes), plan.copy_files));
        line("replay", &format!("{} in {} segments", Bytes(plan.replay_bytes), plan.replay_segments));
    }
    for (path, needed, free) in &plan.space {
        line("needs", &format!("{} of {} at {}", Bytes(*needed), Bytes(*free), path.display()));
    }
    line("forecast", &forecast(plan));
    if let Some(at) = plan.last_commit {
        line("keeps to", &at.to_string());
    }
    line("loses", &plan.loss().to_string());
    out.push(String::new());
    for check in &plan.checks {
        out.extend(wrapped(&format!("  {} ", sign(check.state)), &check.text, 10));
    }
    out.push(String::new());
    out.extend(row("steps", &plan.steps.join(", ")));
    out.extend(row("command", ""));
    out.push(format!("  {}", plan.command));
    out.extend(row("digest", plan.digest.get(..16).unwrap_or(&plan.digest)));
    out.join("\n")
}

fn to(plan: &RecoverPlan) -> String {
    let timeline = plan.timeline.map_or_else(String::new, |number| format!(", timeline {number}"));
    format!("{}{timeline}", plan.target)
}

fn forecast(plan: &RecoverPlan) -> String {
    match &plan.forecast {
        Some(forecast) => {
            format!("{}, {}, the newest on {}", forecast.total, forecast.basis(), forecast.newest)
        }
        None => "none: no recovery was measured here yet".to_owned(),
    }
}

fn sign(state: CheckState) -> &'static str {
    match state {
        CheckState::Ok => "ok    ",
        CheckState::Warn => "note  ",
        CheckState::Fail => "FAILED",
        CheckState::Unknown => "?     ",
    }
}

fn row(name: &str, text: &str) -> Vec<String> {
    wrapped(&format!("{name:<INDENT$}"), text, INDENT)
}

/// Text behind a head, going on below itself where it is too long for the line.
pub(in crate::cli) fn wrapped(head: &str, text: &str, indent: usize) -> Vec<String> {
    let mut lines = vec![head.to_owned()];
    let mut bare = true;
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let width = lines[last].chars().count() + usize::from(!bare) + word.chars().count();
        if width > COLUMNS && !bare {
            lines.push(format!("{:indent$}{word}", ""));
        } else {
            let space = if bare { "" } else { " " };
            lines[last] = format!("{}{space}{word}", lines[last]);
        }
        bare = false;
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_go_on_below_themselves() {
        let lines = wrapped("  ok     ", &"word ".repeat(40), 10);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= COLUMNS), "{lines:?}");
        assert!(lines[0].starts_with("  ok     word") && lines[1].starts_with("          word"));
        assert_eq!(wrapped("a ", "", 4), ["a"]);
    }
}
