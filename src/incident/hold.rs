//! The hold of an incident, as its journal tells it. Who keeps holds is somebody else; here they are asked and written down.
//!
//! A hold that cannot be placed or lifted stops no declaration, no recovery and no closing: it is told and written down.

use super::Incidents;
use crate::base::{Report, Result, Timestamp};
use crate::journal::Fact;
use crate::model::hold::Keeper;

impl Incidents {
    /// Places the hold of an incident; when it ends by itself. Nothing if there is nothing to hold here.
    pub fn hold(&self, id: &str, actor: &str, keeper: &dyn Keeper) -> Result<Option<Timestamp>> {
        let placed = keeper.place(id, actor).map_err(|report| {
            let what = "backups and WAL are not kept from being removed while this is open";
            self.in_the_way(id, actor, what, report)
        })?;
        if let Some(until) = placed {
            self.append(id, actor, &Fact::HoldPlaced { until })?;
        }
        Ok(placed)
    }

    /// Lifts the hold of an incident that is over; true if it had one. Another one of the same stanza that is still open
    /// takes it on.
    pub fn release(&self, id: &str, actor: &str, keeper: &dyn Keeper) -> Result<bool> {
        let lifted = keeper.lift(id).map_err(|report| {
            let what = "nothing is removed from the repositories until the hold ends by itself";
            self.in_the_way(id, actor, what, report)
        })?;
        if lifted {
            self.append(id, actor, &Fact::HoldLifted)?;
            if let Some(open) = self.open_one(&self.view(id)?.stanza)? {
                self.hold(&open.id, actor, keeper)?;
            }
        }
        Ok(lifted)
    }

    /// What a hold that does not follow the incident means, before why; also in the journal, if that can be written.
    fn in_the_way(&self, id: &str, actor: &str, what: &str, report: Report) -> Report {
        let text = format!("{what}: {}", report.headline);
        let written = self.append(id, actor, &Fact::Warning { operation: None, text: text.clone() });
        let report = Report { headline: text, ..report };
        match written {
            Ok(()) => report,
            Err(error) => report.context(format!("writing that down failed, too: {}", error.headline)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::base::state::StateDir;
    use crate::base::{Report, Result, Timestamp};
    use crate::incident::{Declaration, Incidents};
    use crate::model::hold::Keeper;
    use std::sync::Mutex;

    /// Keeps one hold, or refuses.
    #[derive(Default)]
    struct Kept {
        of: Mutex<Option<String>>,
        refuses: bool,
    }

    impl Keeper for Kept {
        fn place(&self, incident: &str, _: &str) -> Result<Option<Timestamp>> {
            if self.refuses {
                return Err(Report::failed("no such folder"));
            }
            *self.of.lock().unwrap() = Some(incident.to_owned());
            Ok(Some(Timestamp::from_unix_s(1_795_225_447)))
        }

        fn lift(&self, incident: &str) -> Result<bool> {
            let mut of = self.of.lock().unwrap();
            let ours = of.as_deref() == Some(incident);
            if ours {
                *of = None;
            }
            Ok(ours)
        }
    }

    fn declared(incidents: &Incidents) -> String {
        incidents.declare("dk", &Declaration::sample()).unwrap()
    }

    fn lines(incidents: &Incidents, id: &str) -> Vec<String> {
        incidents.view(id).unwrap().lines.into_iter().skip(1).map(|line| line.text).collect()
    }

    #[test]
    fn the_journal_tells_of_a_hold_from_its_beginning_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let incidents = Incidents::new(StateDir::at(dir.path()));
        let (keeper, first) = (Kept::default(), declared(&incidents));
        assert!(incidents.hold(&first, "dk", &keeper).unwrap().is_some());
        let second = declared(&incidents);
        incidents.close(&first, "dk", "over", false).unwrap();
        assert!(incidents.release(&first, "dk", &keeper).unwrap());
        let told = lines(&incidents, &first);
        assert!(
            told[0].starts_with("hold placed: ") && told[0].contains("2026-11-21 01:44:07+00"),
            "{told:?}"
        );
        assert!(told[1] == "closed: over" && told[2].starts_with("hold lifted: "), "{told:?}");
        // The other one that is open takes it on.
        assert_eq!(keeper.of.lock().unwrap().as_deref(), Some(second.as_str()));
        assert!(lines(&incidents, &second)[0].starts_with("hold placed: "));
        incidents.close(&second, "dk", "over", false).unwrap();
        assert!(incidents.release(&second, "dk", &keeper).unwrap());
        assert!(!incidents.release(&second, "dk", &keeper).unwrap());
        assert_eq!(keeper.of.lock().unwrap().as_deref(), None);
    }

    #[test]
    fn a_hold_that_cannot_be_placed_is_told_and_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let incidents = Incidents::new(StateDir::at(dir.path()));
        let id = declared(&incidents);
        let report = incidents.hold(&id, "dk", &Kept { refuses: true, ..Kept::default() }).unwrap_err();
        assert!(report.headline.contains("not kept from being removed"), "{report}");
        let told = lines(&incidents, &id);
        assert!(told[0].starts_with("warning: ") && told[0].ends_with("no such folder"), "{told:?}");
    }
}
