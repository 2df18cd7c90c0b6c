use super::*;
use proptest::prelude::*;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

/// A folder with configuration files, and the layers above them.
struct Setup {
    dir: TempDir,
    cli: Vec<CliOption>,
    env: Vec<(String, String)>,
}

fn conf(text: &str) -> Setup {
    let setup = Setup { dir: tempfile::tempdir().unwrap(), cli: Vec::new(), env: Vec::new() };
    setup.file("etc/pgbackrest.conf", text)
}

impl Setup {
    fn file(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn cli(mut self, options: &str) -> Self {
        for option in options.split_whitespace() {
            let option = option.replace("DIR", self.dir.path().to_str().unwrap());
            let (name, value) = option.split_once('=').map_or((option.as_str(), None), |(n, v)| (n, Some(v)));
            self.cli.push(CliOption { name: name.into(), value: value.map(str::to_owned) });
        }
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    fn load(&self) -> Result<Config, ConfigError> {
        let default_dir = self.dir.path().join("etc");
        Config::load(&Sources { cli: self.cli.clone(), env: self.env.clone(), default_dir })
    }

    fn settings(&self, command: &str) -> Settings {
        self.load().unwrap().settings(command, Some("main")).unwrap()
    }

    fn error(&self, command: &str) -> crate::base::Report {
        let outcome = self.load().and_then(|config| config.settings(command, None));
        outcome.map(|_| ()).unwrap_err().into()
    }
}

const STANZA: &str = "[global]\nrepo1-path=/r\n[main]\npg1-path=/pg\n";

#[test]
fn the_first_layer_that_has_a_value_wins() {
    let sections = "[global]\nprocess-max=1\n[global:restore]\nprocess-max=2\n[main]\npg1-path=/pg\nprocess-max=3\n\
                    [main:restore]\nprocess-max=4\n";
    let text = |upto: usize| {
        let ends = ["[global:restore]", "[main]", "[main:restore]", "\u{0}"];
        sections.split(ends[upto]).next().unwrap().to_owned()
            + if upto < 2 { "[main]\npg1-path=/pg\n" } else { "" }
    };
    for (upto, expected, section) in
        [(0, 1, "[global]"), (1, 2, "[global:restore]"), (2, 3, "[main]"), (3, 4, "[main:restore]")]
    {
        let settings = conf(&text(upto)).settings("restore");
        assert_eq!(settings.number("process-max"), Some(expected));
        assert!(settings.origin("process-max").to_string().ends_with(section));
    }
    let env = conf(sections).env("PGBACKREST_PROCESS_MAX", "5");
    assert_eq!(env.settings("restore").number("process-max"), Some(5));
    assert_eq!(
        env.settings("restore").origin("process-max").to_string(),
        "environment variable PGBACKREST_PROCESS_MAX"
    );
    let cli = env.cli("process-max=6");
    assert_eq!(cli.settings("restore").number("process-max"), Some(6));
    assert_eq!(cli.settings("restore").origin("process-max"), Origin::CommandLine);
    let reset = conf(sections).env("PGBACKREST_PROCESS_MAX", "5").cli("reset-process-max");
    assert_eq!(reset.settings("restore").number("process-max"), Some(1));
    assert_eq!(reset.settings("restore").origin("process-max"), Origin::Default);
    let other = conf(sections).settings("backup");
    assert_eq!(other.number("process-max"), Some(3), "sections of other commands do not count");
}

#[test]
fn lists_are_never_merged_across_layers() {
    let setup = conf("[global]\ndb-include=a\ndb-include=b\n[main]\npg1-path=/pg\ndb-include=c\n");
    assert_eq!(setup.settings("restore").list("db-include"), ["c"]);
    let setup = conf("[global]\ndb-include=a\n[main]\npg1-path=/pg\n[global]\ndb-include=b\n");
    assert_eq!(
        setup.settings("restore").list("db-include"),
        ["a", "b"],
        "one section in two parts is one layer"
    );
    let setup = setup.env("PGBACKREST_DB_INCLUDE", "x:y");
    assert_eq!(setup.settings("restore").list("db-include"), ["x", "y"]);
    let setup = setup.cli("db-include=1 db-include=2:3");
    assert_eq!(setup.settings("restore").list("db-include"), ["1", "2:3"]);
}

#[test]
fn indexes_may_have_gaps_and_keep_their_numbers() {
    let setup = conf(
        "[global]\nrepo2-path=/two\nrepo7-path=/seven\n[main]\npg1-path=/pg\npg8-path=/pg8\npg8-port=5433\n",
    );
    let settings = setup.settings("restore");
    let repos: Vec<_> = settings.repos().iter().map(|repo| (repo.key, repo.path.to_str().unwrap())).collect();
    assert_eq!(repos, [(2, "/two"), (7, "/seven")]);
    let pgs: Vec<_> = settings.pg().iter().map(|pg| (pg.key, pg.port)).collect();
    assert_eq!(pgs, [(1, 5432), (8, 5433)]);
    let one = conf("[global]\nrepo2-path=/two\nrepo7-path=/seven\n[main]\npg1-path=/pg\n").cli("repo=7");
    assert_eq!(one.settings("restore").repos().iter().map(|repo| repo.key).collect::<Vec<_>>(), [7]);
    let none = conf("[main]\npg1-path=/pg\n").settings("restore");
    assert_eq!((none.repos()[0].key, none.repos()[0].path.to_str()), (1, Some("/var/lib/pgbackrest")));
    let phantom =
        conf("[global]\nrepo1-path=/r\nrepo3-cipher-pass=unused\n[main]\npg1-path=/pg\n").settings("restore");
    assert_eq!(phantom.repos().len(), 1, "a passphrase without cipher makes no repository");
}

#[test]
fn former_names_are_the_first_index() {
    let setup = conf(
        "[global]\nrepo-path=/r\nrepo-cipher-type=aes-256-cbc\nrepo-cipher-pass=p\n[main]\ndb-path=/pg\ndb-port=5444\n",
    );
    let settings = setup.settings("restore");
    assert_eq!((settings.repos()[0].key, settings.repos()[0].path.to_str()), (1, Some("/r")));
    assert_eq!(settings.repos()[0].cipher_pass.as_ref().map(Secret::expose), Some("p"));
    assert_eq!((settings.pg()[0].path.to_str(), settings.pg()[0].port), (Some("/pg"), 5444));
    let twice = conf("[main]\ndb-path=/a\npg1-path=/b\n").error("restore");
    assert!(twice.headline.contains("two names in this section, 'db-path' and 'pg1-path'"), "{twice}");
}

#[test]
fn files_are_looked_up_in_order() {
    let path_of = |setup: &Setup| setup.settings("info").repos()[0].path.display().to_string();
    let none = Setup { dir: tempfile::tempdir().unwrap(), cli: Vec::new(), env: Vec::new() };
    assert_eq!(path_of(&none), "/var/lib/pgbackrest");
    let old_place = none.file("pgbackrest.conf", "[global]\nrepo1-path=/old\n");
    assert_eq!(path_of(&old_place), "/old");
    let both = old_place.file("etc/pgbackrest.conf", "[global]\nrepo1-path=/new\n");
    assert_eq!(path_of(&both), "/new");
    let included = both
        .file("etc/conf.d/a.conf", "[main]\nrepo1-path=/a\n")
        .file("etc/conf.d/x.bak", "broken")
        .file("etc/conf.d/.conf", "broken");
    assert_eq!(path_of(&included), "/a", "a section of an included file joins in");
    let alone = included.file("other.conf", "[global]\nrepo1-path=/other\n").cli("config=DIR/other.conf");
    assert_eq!(path_of(&alone), "/other", "--config leaves conf.d out");
    let with = Setup { cli: alone.cli.clone(), ..alone }.cli("config-include-path=DIR/etc/conf.d");
    assert_eq!(path_of(&with), "/a");
    let based = conf("broken")
        .file("base/pgbackrest.conf", "[global]\nrepo1-path=/base\n")
        .cli("config-path=DIR/base");
    assert_eq!(path_of(&based), "/base");
    assert_eq!(path_of(&conf("broken").cli("no-config")), "/var/lib/pgbackrest");
    let only_included = conf("broken")
        .file("inc/a.conf", "[global]\nrepo1-path=/inc\n")
        .cli("no-config config-include-path=DIR/inc");
    assert_eq!(path_of(&only_included), "/inc");
    let from_env = conf("broken").file("e.conf", "[global]\nrepo1-path=/env\n");
    let place = from_env.dir.path().join("e.conf").display().to_string();
    assert_eq!(path_of(&from_env.env("PGBACKREST_CONFIG", &place)), "/env");
}

#[test]
fn what_was_asked_for_must_be_readable() {
    for option in ["config=DIR/none.conf", "config-include-path=DIR/none", "config=DIR/etc"] {
        let report = conf(STANZA).cli(option).error("info");
        assert!(report.headline.starts_with("cannot read the configuration /"), "{report}");
    }
    assert!(conf(STANZA).cli("config-path=DIR/none").load().is_ok());
}

#[test]
fn strange_things_are_warned_about_once_and_ignored() {
    let setup = conf(
        "[global]\nrepo1-retention-ful=2\nrepo1-retention-ful=3\npg1-path=/x\nno-delta=y\nstanza=z\n\
                      [global:restore]\nrepo1-bundle=y\n[main]\npg1-path=/pg\n",
    )
    .env("PGBACKREST_FOO", "geheim")
    .env("PGBACKREST_RESET_DELTA", "y");
    let config = setup.load().unwrap();
    let place = setup.dir.path().join("etc/pgbackrest.conf").display().to_string();
    let expected = [
        "environment variable PGBACKREST_FOO: option 'foo' is not known and is ignored",
        "environment variable PGBACKREST_RESET_DELTA: option 'reset-delta' is allowed on the command line only, and is ignored",
        "PLACE:2 [global]: option 'repo1-retention-ful' is not known and is ignored (did you mean 'repo1-retention-full'?)",
        "PLACE:4 [global]: option 'pg1-path' is allowed in stanza sections only, and is ignored",
        "PLACE:5 [global]: option 'no-delta' is allowed on the command line only, and is ignored",
        "PLACE:6 [global]: option 'stanza' is allowed on the command line and in the environment only, and is ignored",
        "PLACE:8 [global:restore]: option 'repo1-bundle' is not valid for the command of this section, and is ignored",
    ];
    let got: Vec<_> = config.warnings().iter().map(|warning| warning.replace(&place, "PLACE")).collect();
    assert_eq!(got, expected);
    assert_eq!(config.stanzas(), ["main"]);
    assert_eq!(config.settings("restore", Some("main")).unwrap().pg()[0].path, Path::new("/pg"));
}

#[test]
fn secrets_are_refused_on_the_command_line_and_never_shown() {
    let report = conf(STANZA).cli("repo1-cipher-pass=geheim").error("info");
    let text = report.to_string();
    assert!(text.contains("PGBACKREST_REPO1_CIPHER_PASS") && !text.contains("geheim"), "{text}");
    let setup =
        conf("[global]\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=geheim\nrepo1-chiper-pass=geheim\n")
            .env("PGBACKREST_REPO2_CIPHER_PASS", "geheim");
    let config = setup.load().unwrap();
    let settings = config.settings("info", None).unwrap();
    let all = format!("{setup:?}{config:?}{settings:?}{:?}", settings.effective(), setup = setup.cli);
    assert!(!all.contains("geheim"), "{all}");
    assert!(
        settings
            .effective()
            .iter()
            .any(|e| e.option == "repo1-cipher-pass" && e.value.as_deref() == Some("***"))
    );
    let empty = conf("[global]\nrepo1-cipher-type=aes-256-cbc\n").error("info");
    assert_eq!(empty.headline, "the command info requires option 'repo1-cipher-pass'");
    assert!(empty.hint.unwrap().contains("PGBACKREST_REPO1_CIPHER_PASS"));
}

#[test]
fn a_passphrase_that_names_a_variable_is_kept_in_both_readings() {
    let text = "[global]\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=${KEY}\n[main]\npg1-path=/pg\n";
    let repo = |setup: Setup| setup.settings("restore").repos()[0].clone();
    let set = repo(conf(text).env("KEY", "geheim"));
    assert_eq!(set.cipher_pass.as_ref().map(Secret::expose), Some("${KEY}"));
    assert_eq!(set.cipher_pass_expanded.as_ref().map(Secret::expose), Some("geheim"));
    assert_eq!(set.cipher_pass_variable.as_deref(), Some("KEY"));
    let unset = repo(conf(text));
    assert_eq!((unset.cipher_pass_expanded, unset.cipher_pass_variable.as_deref()), (None, Some("KEY")));
    assert!(repo(conf(text).env("KEY", "")).cipher_pass_expanded.is_none());
    for literal in ["x${KEY}", "${KEY}x", "${}", "${1K}", "$KEY", "${K-Y}"] {
        let literal = repo(conf(&text.replace("${KEY}", literal)).env("KEY", "geheim"));
        assert!(literal.cipher_pass_expanded.is_none() && literal.cipher_pass_variable.is_none());
    }
}

#[test]
fn other_hosts_and_other_stores_are_refused_only_when_used() {
    let setup = conf(
        "[global]\nrepo1-host=backup.example\nrepo2-type=s3\nrepo2-s3-bucket=b\nrepo2-s3-endpoint=e\nrepo2-s3-region=r\n\
                      repo2-s3-key=k\nrepo2-s3-key-secret=s\nrepo3-path=/three\n[main]\npg1-path=/pg\n",
    );
    let settings = setup.settings("restore");
    let place = setup.dir.path().join("etc/pgbackrest.conf").display().to_string();
    let outcome = |at: usize| {
        settings.repos()[at]
            .local_path("restore")
            .map_err(|e| crate::base::Report::from(e).to_string().replace(&place, "PLACE"))
    };
    assert_eq!(
        outcome(0).unwrap_err(),
        "repository 1 is on host 'backup.example' (repo1-host, PLACE:2 [global]), and restore works on local files only\n  \
         next: run restore on host 'backup.example'"
    );
    assert!(
        outcome(1).unwrap_err().starts_with(
            "repository 2 is of type 's3' (repo2-type, PLACE:3 [global]), which is not supported"
        )
    );
    assert_eq!(outcome(2).unwrap(), Path::new("/three"));
    let away = conf("[main]\npg1-path=/pg\npg1-host=db.example\n").settings("restore");
    assert!(away.pg()[0].local_path("restore").unwrap_err().to_string().contains("'db.example'"));
}

#[test]
fn conditions_hide_values_in_files_and_forbid_them_on_the_command_line() {
    let settings =
        conf("[global]\nrecovery-option=a=b\n[main]\npg1-path=/pg\n").cli("type=none").settings("restore");
    assert!(settings.pairs("recovery-option").is_empty());
    let setup = conf(STANZA).cli("stanza=main target=5");
    assert_eq!(
        setup.error("restore").headline,
        "option 'target' is not valid without option 'type=lsn or name or time or xid'"
    );
    let setup = conf(STANZA).cli("stanza=main type=time");
    assert_eq!(setup.error("restore").headline, "the command restore requires option 'target'");
    let settings = conf(STANZA).cli("type=xid target=5 target-exclusive").settings("restore");
    assert_eq!((settings.text("type"), settings.text("target-action")), (Some("xid"), Some("pause")));
    assert!(settings.flag("target-exclusive"));
}

#[test]
fn options_belong_to_commands_and_mean_what_the_command_says() {
    assert!(
        conf(STANZA)
            .cli("target-action=promote")
            .error("info")
            .headline
            .contains("not valid for the command info")
    );
    assert_eq!(conf(STANZA).settings("restore").text("type"), Some("default"));
    assert_eq!(conf(STANZA).settings("backup").text("type"), Some("incr"));
    assert_eq!(conf(STANZA).settings("info").text("type"), None);
    assert_eq!(conf(STANZA).settings("restore").text("set"), Some("latest"));
    assert!(conf(STANZA).cli("stanza=main type=full").load().unwrap().settings("backup", None).is_ok());
    assert!(conf(STANZA).settings("restore").duration("db-timeout").is_none());
    assert_eq!(conf(STANZA).settings("backup").duration("db-timeout"), Some(Duration::from_secs(1800)));
}

#[test]
fn often_pasted_mistakes_get_the_right_spelling() {
    for (options, hint) in [
        ("archive-mode=y", "--archive-mode=preserve"),
        ("archive-mode=n", "--archive-mode=off"),
        ("target-db-name=x", "--db-include=NAME"),
        ("type=latest", "--type=default"),
        ("type=full", "--set=LABEL"),
        ("delta=true", "write y"),
        ("type=immediate target-action=stop", "--target-action=shutdown"),
        ("pg-path=/x", "--pg1-path"),
        ("tablespace-map=ts1", "key=value"),
    ] {
        let report = conf(STANZA).cli("stanza=main").cli(options).error("restore");
        assert!(report.hint.as_deref().is_some_and(|given| given.contains(hint)), "{options}: {report}");
    }
    let report = conf(STANZA).cli("stanza=main annotation=name").error("backup");
    assert!(report.hint.unwrap().contains("--annotation=reason="));
    let report = conf(STANZA).cli("stanza=man").error("restore");
    assert!(report.hint.unwrap().contains("check the stanza name 'man'"), "the known stanzas help");
    let report = conf(STANZA).error("restore");
    assert_eq!(report.hint.as_deref(), Some("add --stanza=NAME; the configuration has the stanzas main"));
}

#[test]
fn bad_values_name_place_and_what_is_allowed() {
    let setup = conf("[global]\nprocess-max=0\n[main]\npg1-path=/pg\n").cli("stanza=main");
    let place = setup.dir.path().join("etc/pgbackrest.conf").display().to_string();
    assert_eq!(
        setup.error("restore").headline.replace(&place, "PLACE"),
        "'0' is not valid for option 'process-max' (PLACE:2 [global]): allowed is a number from 1 to 999"
    );
    assert!(setup.load().unwrap().settings("info", None).is_ok(), "info has no use for it");
    for (text, part) in [
        ("delta=true", "y or n"),
        ("delta=", "y or n"),
        ("buffer-size=3MiB", "16KiB"),
        ("spool-path=relative", "absolute path"),
        ("archive-mode=on", "preserve, off"),
        ("process-max=1\nprocess-max=2", "several times"),
        ("link-map=a", "key=value"),
    ] {
        let report = conf(&format!("[main]\npg1-path=/pg\n{text}\n")).cli("stanza=main").error("restore");
        assert!(
            report.headline.contains(part)
                && report.headline.contains(":3 [main]") | report.headline.contains(":4 [main]"),
            "{report}"
        );
    }
    let report = conf(STANZA).cli("stanza=main").env("PGBACKREST_DELTA", "").error("restore");
    assert!(report.headline.contains("environment variable PGBACKREST_DELTA"), "{report}");
    for (cli, part) in [
        ("delta delta", "several times"),
        ("delta no-delta", "several times"),
        ("no-delta=y", "no value"),
        ("process-max", "requires a value"),
        ("repo=2", "number of a configured repository (1)"),
    ] {
        let report = conf(STANZA).cli("stanza=main").cli(cli).error("restore");
        assert!(report.headline.contains(part), "{report}");
    }
}

#[test]
fn stanza_names_lead_nowhere_else() {
    for name in ["../x", "a/b", "..", ".", "global", "a:b", ""] {
        let setup = conf(STANZA).cli(&format!("stanza={name}"));
        let report = setup.error("restore");
        assert!(report.headline.contains("option 'stanza'"), "{report}");
    }
    let config = conf(STANZA).load().unwrap();
    assert!(config.settings("info", Some("../x")).is_err());
    assert!(config.settings("info", Some("a b.c-d_e")).is_ok());
}

#[test]
fn options_that_depend_on_each_other_agree() {
    let text = |settings: &Settings, name: &str| settings.text(name).map(str::to_owned);
    let old = conf("[global]\ncompress=n\n[main]\npg1-path=/pg\n").settings("backup");
    assert_eq!(
        (text(&old, "compress-type").as_deref(), old.integer("compress-level")),
        (Some("none"), Some(0))
    );
    let zst = conf("[global]\ncompress-type=zst\n[main]\npg1-path=/pg\n").settings("backup");
    assert_eq!(
        (zst.integer("compress-level"), zst.origin("compress-level")),
        (Some(3), Origin::Follows("compress-type"))
    );
    let both = conf("[global]\ncompress-type=lz4\ncompress=n\n[main]\npg1-path=/pg\n").settings("backup");
    assert_eq!((text(&both, "compress-type").as_deref(), both.warnings().len()), (Some("lz4"), 1));
    let bad = conf("[global]\ncompress-type=gz\ncompress-level=12\n[main]\npg1-path=/pg\n")
        .cli("stanza=main")
        .error("backup");
    assert!(bad.headline.contains("a number from -1 to 9 for compress-type=gz"), "{bad}");
    let long = conf("[global]\ndb-timeout=1h\n[main]\npg1-path=/pg\n").settings("backup");
    assert_eq!(long.duration("protocol-timeout"), Some(Duration::from_secs(3630)));
    let short = conf("[global]\nprotocol-timeout=40s\n[main]\npg1-path=/pg\n").settings("backup");
    assert_eq!(short.duration("db-timeout"), Some(Duration::from_secs(20)));
    for (text, part) in [
        (
            "[global]\nprotocol-timeout=1h\ndb-timeout=1h\n[main]\npg1-path=/pg\n",
            "must be longer than db-timeout",
        ),
        ("[global]\nrepo1-path=/r\nrepo2-path=/r\n[main]\npg1-path=/pg\n", "both '/r'"),
        ("[global]\nrepo1-host=a\n[main]\npg1-path=/pg\npg1-host=b\n", "cannot both be set"),
    ] {
        let report = conf(text).cli("stanza=main").error("backup");
        assert!(report.headline.contains(part), "{report}");
    }
}

#[test]
fn without_a_command_everything_is_valid_and_nothing_required() {
    let setup = conf(
        "[global]\nprocess-max=2\nrecovery-option=a=b\n[global:restore]\nprocess-max=9\n[main]\npg1-path=/pg\n",
    );
    let config = setup.load().unwrap();
    let settings = config.settings(EVERY_COMMAND, Some("main")).unwrap();
    assert_eq!(settings.number("process-max"), Some(2));
    assert_eq!(settings.pairs("recovery-option"), [("a".to_owned(), "b".to_owned())]);
    assert_eq!(config.command_sections().collect::<Vec<_>>(), ["global:restore"]);
    assert_eq!(config.section("global:restore")[0].value.as_deref(), Some("9"));
    assert!(config.settings(EVERY_COMMAND, None).unwrap().stanza().is_none());
}

#[test]
fn beside_another_command_its_options_are_passed_over() {
    let setup = conf("[global]\nrepo1-path=/r\nrepo2-path=/s\n[main]\npg1-path=/pg\npg1-port=5499\n");
    let setup = setup.cli("stanza=main repo=2 type=xid target=4711 process-max=3");
    let config = setup.load().unwrap();
    assert!(config.settings("archive-push", Some("main")).is_err());
    let keys = |settings: &Settings| settings.repos().iter().map(|repo| repo.key).collect::<Vec<_>>();
    let archives = config.settings_beside("archive-push", Some("main")).unwrap();
    assert_eq!((keys(&archives), archives.number("process-max")), (vec![1, 2], Some(3)));
    assert_eq!(keys(&config.settings("restore", Some("main")).unwrap()), [2]);
    assert_eq!(config.settings(EVERY_COMMAND, Some("main")).unwrap().pg()[0].port, 5499);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_a_configuration_or_an_error(
        lines in proptest::collection::vec("(\\[(global|main)(:restore)?\\]|(no-|reset-)?(repo|pg|db|process|delta)[0-9]{0,5}-?[a-z-]{0,16} *= *.{0,20})", 0..30),
        cli in "(no-|reset-)?[a-z]{0,6}[0-9]{0,12}-?[a-z-]{0,10}",
        value in proptest::option::of(".{0,10}"),
    ) {
        let mut setup = conf(&lines.join("\n"));
        for command in ["restore", "backup", "info", EVERY_COMMAND] {
            if let Ok(config) = setup.load() {
                let _settings = config.settings(command, Some("main"));
            }
        }
        setup.cli.push(CliOption { name: cli, value });
        let _outcome = setup.load().and_then(|config| config.settings(EVERY_COMMAND, None));
    }
}
