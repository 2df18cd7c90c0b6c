//! The doctor's screen: what the configuration means, filtered and opened.

use crate::models::bare;
use crate::pictures::check;
use crate::{entered, picture};
use pgmayday::console::input::Effect;
use pgmayday::console::keymap::Cmd;
use pgmayday::console::model::{Loaded, Model};
use pgmayday::console::screens::doctor::DoctorScreen;
use pgmayday::console::screens::{Action, Asked, Modal, Screen as _};
use pgmayday::console::theme::Theme;
use pgmayday::model::effective::{ConfigView, Scope, Setting};

const THEME: Theme = Theme { colour: true, ascii: false };

fn view() -> ConfigView {
    let setting = |option: &str, value: &str, origin: &str| Setting {
        option: option.to_owned(),
        value: value.to_owned(),
        origin: origin.to_owned(),
    };
    let file = "/etc/pgbackrest/conf.d/of-the-orders-cluster/pgbackrest.conf:12 [orders]";
    let mut options = vec![
        setting("pg1-path", "/data/pg/15/main", file),
        setting("process-max", "4", "environment variable PGBACKREST_PROCESS_MAX"),
        setting("repo1-cipher-pass", "***", file),
        setting("repo1-path", &format!("/srv/{}", "very-long-".repeat(9)), file),
    ];
    options.extend((0..30).map(|at| setting(&format!("recovery-option{at}"), "x", "default")));
    let only = vec![setting("process-max", "8", "/etc/pgbackrest/pgbackrest.conf:30 [global:backup]")];
    ConfigView {
        scopes: vec![
            Scope { stanza: Some("orders".to_owned()), section: None, options },
            Scope { stanza: None, section: Some("global:backup".to_owned()), options: only },
        ],
        warnings: vec!["repo1-bogus is not an option and is ignored".to_owned()],
    }
}

/// It was read, is being read, cannot be read.
pub(crate) fn models() -> Vec<Model> {
    let of = |configuration| Model { configuration, ..bare() };
    vec![
        of(Loaded::Yes(view())),
        of(Loaded::No),
        of(Loaded::Yes(ConfigView::default())),
        of(Loaded::Failed("pg1-path is missing\nadd it to [orders]".to_owned(), None)),
    ]
}

#[test]
fn the_configuration_is_shown() {
    let models = models();
    check("doctor", &entered::<DoctorScreen>(&models[0]), &models[0]);
    check("doctor-failed", &entered::<DoctorScreen>(&models[3]), &models[3]);
    let mut screen = entered::<DoctorScreen>(&models[0]);
    screen.text(&models[0], Asked::Filter, "PROCESS");
    check("doctor-filtered", &screen, &models[0]);
    assert_eq!(DoctorScreen::default().entered(&bare()), [Effect::LoadConfiguration]);
}

#[test]
fn an_option_is_opened_whole_and_the_last_one_is_reached() {
    let model = models().remove(0);
    let mut screen = entered::<DoctorScreen>(&model);
    assert!(screen.on(&model, Cmd::Open).is_none(), "a title is no option");
    (0..4).for_each(|_| drop(screen.on(&model, Cmd::Down)));
    let Some(Action::Open(Modal::Text { lines, .. })) = screen.on(&model, Cmd::Open) else { panic!() };
    assert!(
        lines[0].contains(&"very-long-".repeat(9)) && lines.join(" ").contains(":12 [orders]"),
        "{lines:?}"
    );
    screen.on(&model, Cmd::Mark);
    let set = picture(&screen, &model, THEME, (80, 21));
    assert!(
        !set.contains("recovery-option0") && set.contains("repo1-path") && set.contains("[global:backup]")
    );
    screen.on(&model, Cmd::Mark);
    screen.on(&model, Cmd::Last);
    assert!(picture(&screen, &model, THEME, (80, 21)).contains("[global:backup]"));
    screen.text(&model, Asked::Filter, "nothing has this");
    assert!(picture(&screen, &model, THEME, (80, 21)).contains("nothing matches"));
    assert!(screen.on(&model, Cmd::Back).is_some() && screen.on(&model, Cmd::Back).is_none());
}
