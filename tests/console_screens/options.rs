//! The ways out beside each other: what is shown, and how one gets there.

use crate::models::{bad_update, bare, now, plan, planned, request};
use crate::pictures::check;
use crate::{entered, picture};
use pgmayday::base::Timestamp;
use pgmayday::console::input::Effect;
use pgmayday::console::keymap::Cmd;
use pgmayday::console::model::{Loaded, Model};
use pgmayday::console::screens::options::OptionsScreen;
use pgmayday::console::screens::target::TargetScreen;
use pgmayday::console::screens::{Action, Modal, Screen as _, ScreenId};
use pgmayday::console::theme::Theme;
use pgmayday::model::forecast::Span;
use pgmayday::model::options::{GivesUp, Options, Way, Weighed};
use pgmayday::model::question::judge::Sign;

/// After a bad update on a primary that serves.
pub(crate) fn compared() -> Options {
    let plan = plan();
    let weighed = |way, title: &str, sign, why: &str, gives_up, damage: &str| Weighed {
        way,
        title: title.to_owned(),
        sign,
        why: why.to_owned(),
        time: None,
        gives_up,
        damage: damage.to_owned(),
        how: Vec::new(),
    };
    let span = |p50_s: u64, p90_s: u64| Some(Span { p50_ms: p50_s * 1000, p90_ms: p90_s * 1000 });
    let from = "from 20261120-020001F_20261121-000001I; 7 checks hold or are told";
    let mut recover = weighed(
        Way::Recover,
        "recover to the target",
        Sign::Ok,
        from,
        GivesUp::Planned(plan.loss()),
        "undone, if the target lies before it",
    );
    (recover.time, recover.how) = (span(1_024, 1_441), vec![plan.command.clone()]);
    let mut beside = weighed(
        Way::Beside,
        "take rows from a copy",
        Sign::Late,
        &format!("{from}; then by hand: dump from the copy, compare, load"),
        GivesUp::Nothing,
        "undone row by row, while the cluster serves",
    );
    (beside.time, beside.how) = (span(1_000, 1_420), vec!["runbook table-recovery".to_owned()]);
    let promote = weighed(
        Way::Promote,
        "promote a standby",
        Sign::Late,
        "db2:5432 receives from db1:5432 and is 0 B behind it; the primary answers: stop and fence it first",
        GivesUp::Unknown { why: "what commits until the fence".to_owned() },
        "stays: it was replayed there, too",
    );
    let latest = weighed(
        Way::RecoverLatest,
        "recover to the latest",
        Sign::Failed,
        "the archive cannot be read: connection timed out",
        GivesUp::Unknown { why: "there is no plan".to_owned() },
        "stays: it is in the log",
    );
    let at = Timestamp(now().0 - 12_000_000);
    Options { target: plan.target, at, ways: vec![recover, beside, promote, latest] }
}

fn with(loaded: Loaded<Options>) -> Model {
    Model { options: Some((request(), loaded)), ..bad_update() }
}

#[test]
fn the_ways_out_are_shown_beside_each_other() {
    check("options-none", &entered::<OptionsScreen>(&bare()), &bare());
    let looking = with(Loaded::Loading(Timestamp(now().0 - 3_000_000), None));
    check("options-looking", &entered::<OptionsScreen>(&looking), &looking);
    let model = with(Loaded::Yes(compared()));
    let mut screen = entered::<OptionsScreen>(&model);
    check("options", &screen, &model);
    (0..2).for_each(|_| drop(screen.on(&model, Cmd::Down)));
    check("options-promote", &screen, &model);
    let Some(Action::Open(Modal::Text { lines, .. })) = screen.on(&model, Cmd::Open) else {
        unreachable!("Enter shows the whole")
    };
    assert!(lines.iter().any(|line| line.ends_with("stop and fence it first")), "{lines:?}");
}

#[test]
fn what_failed_keeps_what_was_known() {
    let model = with(Loaded::Failed("the repository does not answer".to_owned(), Some(compared())));
    let theme = Theme { colour: false, ascii: false };
    let text = picture(&entered::<OptionsScreen>(&model), &model, theme, (80, 21));
    assert!(text.contains("does not answer") && text.contains("take rows from a copy"), "{text}");
}

#[test]
fn the_target_leads_to_its_ways_out_and_looking_again_compares_again() {
    let model = planned(Loaded::Yes(plan()));
    let mut target = entered::<TargetScreen>(&model);
    let Some(Action::All(actions)) = target.on(&model, Cmd::Options) else { unreachable!("it leads there") };
    let wanted = request();
    assert_eq!(
        actions,
        [Action::Do(Effect::Compare(Box::new(wanted.clone()))), Action::Go(ScreenId::Options)]
    );
    let again = |model: &Model| OptionsScreen::default().entered(model);
    assert_eq!(again(&with(Loaded::Yes(compared()))), [Effect::Compare(Box::new(wanted))]);
    assert_eq!(again(&with(Loaded::Loading(now(), None))), [], "what is under way is waited for");
    let stuck = with(Loaded::Loading(Timestamp(now().0 - 61_000_000), None));
    assert_eq!(again(&stuck).len(), 1, "but not for ever");
    assert_eq!(again(&bare()), []);
}
