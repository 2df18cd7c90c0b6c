//! What would stay open if the incident were closed now: a runbook that has come to no end, standbys that a recovery left
//! stopped. Read from the journal and the runbooks; judges no server and changes nothing.

use super::{current, walked};
use crate::journal::{Entry, Fact, left_standby};
use crate::runbook::{Library, NodeKind, Outcome};

/// The runbook after whose good end a standby is one again.
const REBUILD: &str = "standby-rebuild";

/// What is left, each in a sentence.
pub(in crate::incident) fn left(entries: &[Entry], library: &Library) -> Vec<String> {
    let mut left: Vec<String> = unfinished(entries, library).into_iter().collect();
    left.extend(standbys(entries, library).into_iter().map(|place| {
        format!("the standby in {place} was left stopped and is to be rebuilt (runbook {REBUILD})")
    }));
    left
}

/// The runbook the journal is in, if it has come to no end; one that cannot be read has none that is known.
fn unfinished(entries: &[Entry], library: &Library) -> Option<String> {
    if !entries.iter().any(|entry| matches!(entry.fact, Fact::NodeEntered { .. })) {
        return None;
    }
    let name = current(entries);
    let Ok((book, _)) = library.book_or_shipped(&name) else {
        return Some(format!(
            "the runbook {name} was begun and cannot be read: whether it has ended is unknown"
        ));
    };
    let walk = walked(book, entries).walk;
    let node = walk.node()?;
    match &node.kind {
        NodeKind::End(end) => end
            .runbook
            .as_ref()
            .map(|next| format!("the runbook {name} goes on with {next}, which nobody has begun")),
        _ => Some(format!("the runbook {name} has come to no end, it stands at \"{}\"", node.title())),
    }
}

/// The data directories of the standbys that the last recovery left stopped, without those rebuilt since.
fn standbys(entries: &[Entry], library: &Library) -> Vec<String> {
    let mut left = Vec::new();
    let mut since = 0;
    for (at, entry) in entries.iter().enumerate() {
        if let Fact::OperationEnded { operation, done: true, lines } = &entry.fact
            && is_recovery(entries, operation)
        {
            left = lines.iter().filter_map(|line| left_standby(line)).map(str::to_owned).collect();
            since = at + 1;
        }
    }
    if left.is_empty() {
        return left;
    }
    for place in rebuilt(entries, since, library) {
        match place {
            Some(place) if left.contains(&place) => left.retain(|one| *one != place),
            // Which one it was is only plain where there is one.
            None if left.len() == 1 => left.clear(),
            _ => {}
        }
    }
    left
}

fn is_recovery(entries: &[Entry], operation: &str) -> bool {
    entries.iter().any(
        |entry| matches!(&entry.fact, Fact::Confirmed { operation: confirmed, .. } if confirmed == operation),
    )
}

/// Every good end of the runbook that rebuilds a standby, from the entry `since` on: the data directory that was given to
/// it, if one was.
fn rebuilt(entries: &[Entry], since: usize, library: &Library) -> Vec<Option<String>> {
    let Ok((book, _)) = library.book_or_shipped(REBUILD) else { return Vec::new() };
    let (mut place, mut ends) = (None, Vec::new());
    for entry in entries.iter().skip(since) {
        match &entry.fact {
            Fact::ValueGiven { name, value } if name == "replica_data_dir" => place = Some(value.clone()),
            Fact::NodeEntered { runbook, node, .. } if runbook == REBUILD => {
                let well = |kind: &NodeKind| matches!(kind, NodeKind::End(end) if end.outcome == Outcome::ServiceBack);
                if book.node(node).is_some_and(|node| well(&node.kind)) {
                    ends.push(place.clone());
                }
            }
            _ => {}
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use crate::base::state::StateDir;
    use crate::incident::guide::FIRST_RUNBOOK;
    use crate::incident::guide::tests::confirmed;
    use crate::incident::{Declaration, Incidents, OPEN_MATTERS};
    use crate::journal::{Fact, standby_left};
    use crate::runbook::{Library, NodeKind, Outcome};
    use std::path::Path;

    struct Desk {
        incidents: Incidents,
        id: String,
        _dir: tempfile::TempDir,
    }

    impl Desk {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let incidents = Incidents::new(StateDir::at(dir.path()));
            let id = incidents.declare("dk", &Declaration::sample()).unwrap();
            Self { incidents, id, _dir: dir }
        }

        fn tell(&self, fact: &Fact) {
            self.incidents.append(&self.id, "dk", fact).unwrap();
        }

        fn enter(&self, runbook: &str, node: &str) {
            let (runbook, node) = (runbook.to_owned(), node.to_owned());
            self.tell(&Fact::NodeEntered { runbook, digest: String::new(), node });
        }

        fn recovered(&self, standbys: &[&str]) {
            self.tell(&confirmed("op"));
            let lines = standbys.iter().map(|place| standby_left(Path::new(place))).collect();
            self.tell(&Fact::OperationEnded { operation: "op".to_owned(), done: true, lines });
        }

        fn left(&self) -> Vec<String> {
            super::left(&self.incidents.entries(&self.id).unwrap(), &Library::shipped())
        }
    }

    /// The end of a runbook with this outcome, and whether it leads into another one.
    fn end(runbook: &str, outcome: Outcome, leads_on: bool) -> String {
        let library = Library::shipped();
        let nodes = library.book(runbook).unwrap().nodes.iter();
        let fits = |kind: &NodeKind| matches!(kind, NodeKind::End(end) if end.outcome == outcome && end.runbook.is_some() == leads_on);
        nodes.filter(|node| fits(&node.kind)).map(|node| node.id.clone()).next().unwrap()
    }

    #[test]
    fn a_runbook_that_was_begun_is_open_until_it_has_ended() {
        let desk = Desk::new();
        assert_eq!(desk.left(), [""; 0], "nobody has begun one");
        desk.enter(FIRST_RUNBOOK, "alive");
        assert!(desk.left()[0].ends_with("it stands at \"Is the primary alive?\""), "{:?}", desk.left());
        desk.enter(FIRST_RUNBOOK, &end(FIRST_RUNBOOK, Outcome::HandedOver, true));
        assert!(desk.left()[0].contains("goes on with"), "{:?}", desk.left());
        desk.enter(FIRST_RUNBOOK, &end(FIRST_RUNBOOK, Outcome::ServiceBack, false));
        assert_eq!(desk.left(), [""; 0]);
        desk.enter("the-sites-own", "start");
        assert!(desk.left()[0].contains("whether it has ended is unknown"), "{:?}", desk.left());
    }

    #[test]
    fn a_standby_that_was_left_stopped_is_open_until_its_runbook_has_ended_well() {
        let desk = Desk::new();
        desk.recovered(&["/srv/b", "/srv/c"]);
        assert_eq!(desk.left().len(), 2);
        assert!(desk.left()[0].contains("the standby in /srv/b was left stopped"), "{:?}", desk.left());
        let well = end("standby-rebuild", Outcome::ServiceBack, false);
        desk.enter("standby-rebuild", &well);
        assert_eq!(desk.left().len(), 2, "which of them it was is not known");
        desk.tell(&Fact::ValueGiven { name: "replica_data_dir".to_owned(), value: "/srv/b".to_owned() });
        desk.enter("standby-rebuild", &well);
        assert!(matches!(&desk.left()[..], [one] if one.contains("/srv/c")), "{:?}", desk.left());
        desk.recovered(&["/srv/d"]);
        desk.enter("standby-rebuild", &end("standby-rebuild", Outcome::HandedOver, false));
        assert!(desk.left().iter().any(|one| one.contains("/srv/d")), "it did not end well");
        desk.enter("standby-rebuild", &well);
        assert_eq!(desk.left(), [""; 0]);
    }

    #[test]
    fn an_incident_is_closed_over_what_is_left_only_knowingly() {
        let desk = Desk::new();
        desk.enter(FIRST_RUNBOOK, "alive");
        desk.recovered(&["/srv/b"]);
        let refused = desk.incidents.close(&desk.id, "dk", "over", false).unwrap_err();
        assert!(refused.to_string().contains(OPEN_MATTERS), "{refused}");
        assert!(
            refused.headline.contains("/srv/b") && refused.headline.contains("come to no end"),
            "{refused}"
        );
        desk.incidents.close(&desk.id, "dk", "over", true).unwrap();
        let told = desk.incidents.view(&desk.id).unwrap();
        assert!(told.lines.iter().any(|line| line.text.contains("/srv/b") && line.text.contains("accepted")));
    }
}
