use super::*;
use crate::config::value;
use std::collections::BTreeSet;

fn name_of(given: &str) -> String {
    let found = find(given, false).unwrap();
    let mark = if found.negated { "no-" } else { "" };
    let reset = if found.reset { "reset-" } else { "" };
    format!("{mark}{reset}{}", found.def.indexed_name(found.key))
}

#[test]
fn every_row_of_the_table_is_sound() {
    let mut names = BTreeSet::new();
    for def in all() {
        assert!(names.insert(def.name), "{} stands twice", def.name);
        assert!(!def.help.is_empty() && !def.help.ends_with('.'), "{}: {}", def.name, def.help);
        for command in def.commands.iter().chain(def.required_by) {
            assert!(COMMANDS.contains(command), "{}: {command}", def.name);
        }
        for command in COMMANDS.iter().filter(|command| def.valid_for(command)) {
            if let Some(default) = def.default_for(command) {
                let parsed = value::parse(def.kind_for(command), &[default]);
                assert!(parsed.is_ok(), "{} for {command}: default {default}", def.name);
            }
        }
        for need in def.needs {
            let other = by_name(need.option).unwrap();
            for value in need.values {
                let kinds = other.kinds.iter().map(|(_, kind)| *kind).chain([other.kind]);
                let known = kinds.into_iter().any(|kind| value::parse(kind, &[value]).is_ok());
                assert!(known, "{} needs {}={value}", def.name, need.option);
            }
        }
        if let Some(group) = def.group {
            assert!(def.name.starts_with(group.prefix()), "{}", def.name);
        }
    }
}

#[test]
fn conditions_never_go_in_a_circle() {
    fn depth(def: &OptionDef, limit: u32) -> u32 {
        assert!(limit > 0, "{} depends on itself", def.name);
        let of_need = |need: &Need| depth(by_name(need.option).unwrap(), limit - 1) + 1;
        def.needs.iter().map(of_need).max().unwrap_or(0)
    }
    let deepest = all().iter().map(|def| depth(def, 10)).max();
    assert!(deepest < Some(5), "{deepest:?}");
}

#[test]
fn former_names_belong_to_one_option_each() {
    let mut seen = BTreeSet::new();
    for def in all() {
        for old in def.old {
            assert!(seen.insert(old), "{old} is the former name of two options");
            assert!(by_name(old).is_none_or(|other| other.name == def.name), "{old} is another option now");
        }
    }
}

#[test]
fn names_are_found_in_every_form() {
    for (given, meant) in [
        ("repo1-path", "repo1-path"),
        ("repo256-path", "repo256-path"),
        ("repo-path", "repo1-path"),
        ("db-path", "pg1-path"),
        ("db2-path", "pg2-path"),
        ("backup-host", "repo1-host"),
        ("hardlink", "repo1-hardlink"),
        ("retention-full", "repo1-retention-full"),
        ("archive-queue-max", "archive-push-queue-max"),
        ("repo3-s3-verify-ssl", "repo3-storage-verify-tls"),
        ("no-delta", "no-delta"),
        ("no-config", "no-config"),
        ("reset-repo2-path", "reset-repo2-path"),
        ("tls-cipher-12", "tls-cipher-12"),
    ] {
        assert_eq!(name_of(given), meant, "{given}");
    }
}

#[test]
fn names_that_are_wrong_are_told_apart() {
    let form = |given: &str| match find(given, true) {
        Err(NameError::Form(why, better)) => (why, better),
        other => panic!("{given}: {other:?}"),
    };
    assert_eq!(form("pg-path"), ("needs an index", Some("pg1-path".to_owned())));
    assert_eq!(form("process1-max"), ("has no index", Some("process-max".to_owned())));
    for given in ["repo0-path", "repo257-path", "repo99999999999-path"] {
        assert_eq!(form(given).0, "has an index outside 1 to 256", "{given}");
    }
    for given in ["no-process-max", "no-force", "no-stanza"] {
        assert_eq!(form(given).0, "cannot be negated", "{given}");
    }
    assert_eq!(form("reset-stanza").0, "cannot be reset");
    let near = |given: &str| match find(given, true) {
        Err(NameError::Unknown(near)) => near,
        other => panic!("{given}: {other:?}"),
    };
    assert_eq!(near("repo2-retention-ful").as_deref(), Some("repo2-retention-full"));
    assert_eq!(near("stnaza").as_deref(), Some("stanza"));
    assert_eq!(near("pgdata"), None);
    assert_eq!(near(&"x".repeat(10_000)), None);
    assert_eq!(near(""), None);
    assert_eq!(near("1-path"), None);
}

#[test]
fn beginnings_count_only_where_asked_and_unique() {
    assert_eq!(find("stan", true).unwrap().def.name, "stanza");
    assert_eq!(find("repo2-cipher-p", true).unwrap().def.indexed_name(2), "repo2-cipher-pass");
    assert!(find("stan", false).is_err());
    assert!(find("target", true).is_ok_and(|found| found.def.name == "target"));
    assert!(find("targe", true).is_err());
}
