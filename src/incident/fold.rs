//! From a journal's lines to an incident as it stands.
//!
//! Pure: the same lines and the same verification always give the same view. A line that cannot be read is shown as
//! one; it hides nothing that stands around it.

use super::approval::approvals;
use super::course::Course;
use super::{IncidentView, JournalLine, words};
use crate::base::Timestamp;
use crate::journal::{Contents, Fact, Line, Verification};
use crate::model::op::Mark;

/// The incident `id` as its journal tells it.
pub(super) fn view(id: &str, contents: &Contents, verification: &Verification) -> IncidentView {
    let mut view = IncidentView {
        id: id.to_owned(),
        chain: verification.sentence(),
        chain_ok: verification.ok,
        lines: lines(&contents.lines),
        ..IncidentView::default()
    };
    let mut course = Course::default();
    let mut declared = false;
    for entry in contents.entries() {
        course.apply(entry);
        view.standing.apply(entry);
        match &entry.fact {
            // An incident is declared once; a second declaration in its journal changes nothing.
            Fact::Declared { stanza, label, reason, detected_at, rto_s, rpo_s, .. } if !declared => {
                declared = true;
                view.stanza.clone_from(stanza);
                view.label.clone_from(label);
                view.reason.clone_from(reason);
                view.detected_at = *detected_at;
                view.declared_at = entry.at;
                (view.rto_s, view.rpo_s) = (*rto_s, *rpo_s);
            }
            Fact::ScenarioChosen { rto_s, rpo_s, .. } => (view.rto_s, view.rpo_s) = (*rto_s, *rpo_s),
            Fact::ValueGiven { name, value } => {
                view.values.insert(name.clone(), value.clone());
            }
            Fact::Closed { .. } => {
                view.closed_at.get_or_insert(entry.at);
            }
            _ => {}
        }
    }
    view.approvals = approvals(contents.entries());
    view.marks = course.marks().collect();
    view.phases = course.phases().into_iter().map(|(phase, _)| phase).collect();
    view.rto_ms = rto_ms(&view);
    view
}

/// The sum of the phases up to service back, so that a table of them adds up to it.
fn rto_ms(view: &IncidentView) -> Option<u64> {
    let last = view.phases.iter().position(|phase| phase.to == Mark::ServiceBack)?;
    Some(view.phases.iter().take(last + 1).map(|phase| phase.took_ms).sum())
}

fn lines(lines: &[Line]) -> Vec<JournalLine> {
    let mut at = Timestamp::default();
    let shown = lines.iter().map(|line| {
        let (actor, text) = match &line.entry {
            Ok(entry) => {
                at = entry.at;
                (words::one_line(&entry.actor), words::fact(&entry.fact))
            }
            // Its moment is unknown; the one before keeps it in its place.
            Err(why) => ("?".to_owned(), format!("damaged line, cannot be read: {}", words::one_line(why))),
        };
        let hash = line.stated.as_ref().unwrap_or(&line.computed);
        let hash_tail = hash.get(hash.len().saturating_sub(8)..).unwrap_or_default().to_owned();
        JournalLine { seq: line.seq(), at, actor, text, hash_tail }
    });
    shown.collect()
}
