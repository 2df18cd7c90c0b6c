use super::*;
use crate::base::state::StateDir;
use crate::incident::Declaration;

fn plan(digest: &str) -> RecoverPlan {
    RecoverPlan { digest: digest.to_owned(), ..RecoverPlan::sample() }
}

fn desk() -> (tempfile::TempDir, Incidents, String) {
    let dir = tempfile::tempdir().unwrap();
    let incidents = Incidents::new(StateDir::at(dir.path()));
    let id = incidents.declare("dk", &Declaration::sample()).unwrap();
    (dir, incidents, id)
}

#[test]
fn a_plan_starts_once_somebody_else_has_approved_exactly_it() {
    let (_dir, incidents, id) = desk();
    let ask = |digest: &str, alone: bool| {
        let open = incidents.view(&id).unwrap();
        incidents.ask_for_second_person(Some(&open), "dk", &plan(digest), alone)
    };
    let refused = ask("7f3a0000000000", false).unwrap_err();
    assert!(
        refused.hint.as_deref().is_some_and(|hint| hint.contains("incident approve 7f3a00000000")),
        "{refused}"
    );
    // Asked once, however often it is tried.
    ask("7f3a0000000000", false).unwrap_err();
    assert_eq!(approvals(&incidents.entries(&id).unwrap()).len(), 1);
    let own = incidents.approve(&id, "dk", "7f3a").unwrap_err();
    assert!(own.headline.contains("somebody else"), "{own}");
    incidents.approve(&id, "am", "beef").unwrap_err();
    incidents.approve(&id, "am", "").unwrap_err();
    assert_eq!(incidents.approve(&id, "am", "7f3a").unwrap().by, "dk");
    ask("7f3a0000000000", false).unwrap();
    // Another plan is another plan.
    ask("7f3b0000000000", false).unwrap_err();
    ask("7f3b0000000000", true).unwrap();
    let entries = incidents.entries(&id).unwrap();
    assert!(
        entries.iter().any(
            |entry| matches!(&entry.fact, Fact::Note { text } if text.contains("without a second person"))
        )
    );
}

#[test]
fn who_was_asked_by_another_cannot_start_it_with_the_own_word() {
    let (_dir, incidents, id) = desk();
    let open = incidents.view(&id).unwrap();
    incidents.ask_for_second_person(Some(&open), "dk", &plan("7f3a11"), false).unwrap_err();
    incidents.approve(&id, "am", "7f3a11").unwrap();
    // Whoever approved it is not the second person of their own start.
    incidents.ask_for_second_person(Some(&open), "am", &plan("7f3a11"), false).unwrap_err();
    let none = incidents.ask_for_second_person(None, "dk", &plan("7f3a11"), false).unwrap_err();
    assert!(none.hint.is_some_and(|hint| hint.contains("declare it first")));
}
