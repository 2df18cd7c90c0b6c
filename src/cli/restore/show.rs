//! A restore's plan and outcome as text for people.

use crate::base::Bytes;
use crate::engine::restore::{Outcome, PlanView};
use serde::Serialize;
use std::fmt::Write as _;

/// A plan and what an operator would type to do it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    /// The plan.
    #[serde(flatten)]
    pub(super) view: PlanView,
    /// The exact commands, in order.
    pub(super) commands: Vec<String>,
}

/// The plan, top to bottom in the order an operator decides.
pub(super) fn plan(shown: &Shown) -> String {
    let view = &shown.view;
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _infallible = writeln!(out, "{name:<12}{text}");
    };
    line(
        "restore",
        format!(
            "stanza {} from repo{}, PostgreSQL {}, system id {}",
            view.stanza, view.repo, view.version, view.system_id
        ),
    );
    line("set", format!("{} (ended {})", view.set, view.set_stop));
    line("to", view.data_dir.display().to_string());
    for place in &view.other_places {
        line("", format!("{} -> {}", place.name, place.path.display()));
    }
    if view.resumes {
        line("resumes", "an interrupted run of the same restore".to_owned());
    }
    let reusable = if view.bytes_reusable > 0 {
        format!(", {} stand there and are reused where their content is right", Bytes(view.bytes_reusable))
    } else {
        String::new()
    };
    line("copy", format!("{} in {} files{reusable}", Bytes(view.bytes_total), view.files_total));
    if view.removed_total > 0 {
        line("remove", format!("{} entries the backup does not have:", view.removed_total));
        for path in &view.removed {
            line("", path.display().to_string());
        }
        if view.removed_total > view.removed.len() as u64 {
            line("", format!("… and {} more", view.removed_total - view.removed.len() as u64));
        }
    }
    for fs in &view.filesystems {
        line(
            "needs",
            format!(
                "{} of {} available on the filesystem of {}",
                Bytes(fs.needed_bytes),
                Bytes(fs.available_bytes),
                fs.path.display()
            ),
        );
    }
    match &view.proof {
        Some(proof) => {
            for (number, sentence) in proof.sentences().into_iter().enumerate() {
                line(if number == 0 { "reaches" } else { "" }, sentence);
            }
        }
        None => line("reaches", format!("nothing is proven for --type={}", view.kind)),
    }
    for (number, setting) in view.settings.iter().enumerate() {
        line(if number == 0 { "settings" } else { "" }, setting.clone());
    }
    for warning in &view.warnings {
        line("warning", warning.clone());
    }
    for (number, command) in shown.commands.iter().enumerate() {
        line(if number == 0 { "do it" } else { "then" }, command.clone());
    }
    out
}

/// What was done, in a few lines.
pub(super) fn outcome(done: &Outcome) -> String {
    let mut out = String::new();
    let seconds = std::time::Duration::from_millis(done.took_ms);
    let _infallible = writeln!(
        out,
        "restored backup {} from repo{}: {} in {} files, {:.1} s",
        done.set,
        done.repo,
        Bytes(done.bytes_total),
        done.files_total,
        seconds.as_secs_f64()
    );
    let _infallible = writeln!(
        out,
        "written {} ({} files), reused {} ({} files), removed {}{}",
        Bytes(done.bytes_restored),
        done.files_restored,
        Bytes(done.bytes_reused),
        done.files_reused,
        done.files_removed,
        if done.resumed { "; an interrupted restore was finished" } else { "" }
    );
    out
}
