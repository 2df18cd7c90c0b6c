//! Our reading of `pgbackrest.conf` against the real pgBackRest's.
//!
//! pgBackRest prints every option that is not default when a command begins; the same files, environment and
//! command line must give us the same list, and what it refuses we refuse. Nothing here needs a repository.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "tests start pgBackRest")]

use pgmayday::config::options::{self, Kind};
use pgmayday::config::{CliOption, Config, Origin, Settings, Sources};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// One configuration in all its layers. `DIR` stands for a folder of its own.
struct Case {
    name: &'static str,
    command: &'static str,
    files: &'static [(&'static str, &'static str)],
    env: &'static [(&'static str, &'static str)],
    cli: &'static [&'static str],
}

const fn case(
    name: &'static str,
    command: &'static str,
    files: &'static [(&'static str, &'static str)],
    env: &'static [(&'static str, &'static str)],
    cli: &'static [&'static str],
) -> Case {
    Case { name, command, files, env, cli }
}

const CONF: &str = "--config=DIR/p.conf";
const MAIN: &str = "--stanza=main";

const LAYERS: &str = "[global]\nrepo1-path=DIR/g\nprocess-max=2\nlink-all=y\ndb-include=g1\ndb-include=g2\n\
                      [global:restore]\nprocess-max=3\ndelta=y\n[main]\npg1-path=DIR/pg\ndb-include=m1\nbuffer-size=64KiB\n\
                      [main:restore]\nbuffer-size=128kb\n[main:backup]\nprocess-max=9\n[other]\npg1-path=/other\nprocess-max=8\n";

/// What pgBackRest accepts.
const ACCEPTED: &[Case] = &[
    case("sections", "restore", &[("p.conf", LAYERS)], &[], &[CONF, MAIN]),
    case("sections of info", "info", &[("p.conf", LAYERS)], &[], &[CONF, MAIN]),
    case("no stanza", "info", &[("p.conf", LAYERS)], &[], &[CONF]),
    case("another stanza", "restore", &[("p.conf", LAYERS)], &[], &[CONF, "--stanza=other"]),
    case(
        "environment over files",
        "restore",
        &[("p.conf", LAYERS)],
        &[
            ("PGBACKREST_PROCESS_MAX", "5"),
            ("PGBACKREST_DB_INCLUDE", "e1:e2"),
            ("PGBACKREST_DELTA", "n"),
            ("PGBACKREST_STANZA", "main"),
        ],
        &[CONF],
    ),
    case(
        "command line over everything",
        "restore",
        &[("p.conf", LAYERS)],
        &[("PGBACKREST_PROCESS_MAX", "5"), ("PGBACKREST_LINK_ALL", "y")],
        &[
            CONF,
            MAIN,
            "--process-max=6",
            "--no-link-all",
            "--db-include=c1",
            "--db-include",
            "c2:x",
            "--delta=n",
        ],
    ),
    case(
        "reset",
        "restore",
        &[("p.conf", LAYERS)],
        &[("PGBACKREST_PROCESS_MAX", "5")],
        &[CONF, MAIN, "--reset-process-max", "--reset-db-include", "--reset-delta"],
    ),
    case("abbreviated", "restore", &[("p.conf", LAYERS)], &[], &[CONF, "--stan", "main", "--process-m=4"]),
    case(
        "several repositories with gaps",
        "restore",
        &[(
            "p.conf",
            "[global]\nrepo2-path=/two\nrepo5-path=/five\nrepo5-cipher-type=aes-256-cbc\nrepo5-cipher-pass=a#b;c=d\n[main]\npg1-path=DIR/pg\n",
        )],
        &[("PGBACKREST_REPO7_PATH", "/seven/")],
        &[CONF, MAIN, "--repo9-path=/nine"],
    ),
    case(
        "one repository chosen",
        "restore",
        &[("p.conf", "[global]\nrepo1-path=/one\nrepo2-path=/two\n[main]\npg1-path=DIR/pg\n")],
        &[],
        &[CONF, MAIN, "--repo=2"],
    ),
    case(
        "former names",
        "backup",
        &[(
            "p.conf",
            "[global]\nrepo-path=DIR/r\nretention-full=2\nhardlink=y\n[main]\ndb-path=DIR/pg\ndb-port=5444\n",
        )],
        &[],
        &[CONF, MAIN],
    ),
    case(
        "strange things ignored",
        "restore",
        &[(
            "p.conf",
            "[global]\nrepo1-path=DIR/g\nno-such-option=1\npg1-path=/x\nstanza=y\nno-delta=y\n[global:restore]\nrepo1-bundle=y\n[main]\npg1-path=DIR/pg\n",
        )],
        &[("PGBACKREST_NO_SUCH", "1"), ("PGBACKREST_NO_DELTA", "y")],
        &[CONF, MAIN],
    ),
    case(
        "white space and comments",
        "restore",
        &[(
            "p.conf",
            "# [x]\r\n  [global] \r\n\trepo1-path = DIR/g \r\n #process-max=3\n[main]\npg1-path\t=\tDIR/pg/\nrecovery-option = a=b=c \t\n",
        )],
        &[],
        &[CONF, MAIN],
    ),
    case(
        "include folder joins sections",
        "restore",
        &[
            ("base/pgbackrest.conf", "[global]\nrepo1-path=DIR/g\n[main]\npg1-path=DIR/pg\ndb-include=a"),
            ("base/conf.d/20.conf", "[main]\ndb-include=c\n"),
            ("base/conf.d/10.conf", "[main]\ndb-include=b\n[global]\nprocess-max=7\n"),
            ("base/conf.d/30.conf.bak", "garbage"),
        ],
        &[],
        &["--config-path=DIR/base", MAIN],
    ),
    case(
        "config and include folder",
        "restore",
        &[("p.conf", LAYERS), ("inc/a.conf", "[main:restore]\nprocess-max=11\n")],
        &[],
        &[CONF, "--config-include-path=DIR/inc", MAIN],
    ),
    case(
        "no file at all",
        "restore",
        &[],
        &[("PGBACKREST_PG1_PATH", "DIR/pg"), ("PGBACKREST_CONFIG_INCLUDE_PATH", "DIR")],
        &["--no-config", MAIN],
    ),
    case(
        "conditions not met in files",
        "restore",
        &[(
            "p.conf",
            "[global]\nrepo1-path=DIR/g\nrepo1-cipher-pass=x\nrepo3-cipher-pass=x\nrecovery-option=a=b\nrepo1-s3-bucket=b\n[main]\npg1-path=DIR/pg\n",
        )],
        &[],
        &[CONF, MAIN, "--type=none"],
    ),
    case(
        "targets",
        "restore",
        &[("p.conf", LAYERS)],
        &[],
        &[
            CONF,
            MAIN,
            "--type=xid",
            "--target=77",
            "--target-exclusive",
            "--target-action=promote",
            "--target-timeline=current",
            "--set=20260101-010101F",
        ],
    ),
    case(
        "maps",
        "restore",
        &[("p.conf", LAYERS)],
        &[("PGBACKREST_LINK_MAP", "a=/x:b=/y")],
        &[
            CONF,
            MAIN,
            "--tablespace-map=ts1=/one",
            "--tablespace-map=ts2=/two",
            "--recovery-option=k=v=w",
            "--archive-mode=off",
            "--force",
        ],
    ),
    case(
        "a size without unit",
        "restore",
        &[("p.conf", LAYERS)],
        &[],
        &[CONF, MAIN, "--buffer-size=65536", "--no-neutral-umask", "--io-timeout=90"],
    ),
];

/// A case of one file.
macro_rules! refused {
    ($name:expr, $command:expr, $file:expr, $cli:expr $(,)?) => {
        case($name, $command, &[("p.conf", $file)], &[], $cli)
    };
}

const TWO: &str = "[global]\nrepo1-path=DIR/g\n[main]\npg1-path=DIR/pg\n";

/// What pgBackRest refuses before it does anything.
const REFUSED: &[Case] = &[
    refused!("no stanza", "restore", TWO, &[CONF]),
    refused!("unknown stanza", "restore", TWO, &[CONF, "--stanza=x"]),
    case("config missing", "info", &[], &[], &[CONF]),
    case("include folder missing", "info", &[], &[], &["--no-config", "--config-include-path=DIR/none"]),
    refused!("unknown option", "info", TWO, &[CONF, "--no-such-option=1"]),
    refused!("option of another command", "info", TWO, &[CONF, "--target=1"]),
    refused!("given twice", "info", TWO, &[CONF, "--stanza=a", "--stanza=a"]),
    refused!("set and negated", "restore", TWO, &[CONF, MAIN, "--delta", "--no-delta"]),
    refused!("not negatable", "restore", TWO, &[CONF, MAIN, "--no-force"]),
    refused!("negated with value", "restore", TWO, &[CONF, MAIN, "--no-delta=y"]),
    refused!("flag with a word", "restore", TWO, &[CONF, MAIN, "--delta=true"]),
    refused!("index missing", "restore", TWO, &[CONF, MAIN, "--pg-path=/x"]),
    refused!("index too much", "restore", TWO, &[CONF, MAIN, "--process1-max=2"]),
    refused!("index out of range", "restore", TWO, &[CONF, MAIN, "--repo257-path=/x"]),
    refused!("secret", "info", TWO, &[CONF, "--repo1-cipher-pass=geheim"]),
    refused!("relative path", "restore", TWO, &[CONF, MAIN, "--spool-path=x"]),
    refused!("double slash", "restore", TWO, &[CONF, MAIN, "--repo1-path=/a//b"]),
    refused!("out of range", "restore", TWO, &[CONF, MAIN, "--process-max=0"]),
    refused!("no number", "restore", TWO, &[CONF, MAIN, "--process-max=1x"]),
    refused!("no such size", "restore", TWO, &[CONF, MAIN, "--buffer-size=3MiB"]),
    refused!("archive-mode=y", "restore", TWO, &[CONF, MAIN, "--archive-mode=y"]),
    refused!("type=latest", "restore", TWO, &[CONF, MAIN, "--type=latest"]),
    refused!("type=full", "restore", TWO, &[CONF, MAIN, "--type=full"]),
    refused!("target-db-name", "restore", TWO, &[CONF, MAIN, "--target-db-name=x"]),
    refused!("annotation without value", "backup", TWO, &[CONF, MAIN, "--annotation=name"]),
    refused!("target without type", "restore", TWO, &[CONF, MAIN, "--target=1"]),
    refused!("type without target", "restore", TWO, &[CONF, MAIN, "--type=time"]),
    case("empty environment", "restore", &[("p.conf", TWO)], &[("PGBACKREST_DELTA", "")], &[CONF, MAIN]),
    case("environment flag", "restore", &[("p.conf", TWO)], &[("PGBACKREST_DELTA", "yes")], &[CONF, MAIN]),
    refused!("unknown repository", "restore", TWO, &[CONF, MAIN, "--repo=3"]),
    refused!("empty value", "restore", "[main]\npg1-path=/pg\nprocess-max=\n", &[CONF, MAIN]),
    refused!("twice in a file", "restore", "[main]\npg1-path=/pg\npg1-path=/pg\n", &[CONF, MAIN]),
    refused!("two names", "restore", "[main]\npg1-path=/pg\ndb-path=/pg\n", &[CONF, MAIN]),
    refused!("index missing in a file", "restore", "[main]\npg-path=/pg\n", &[CONF, MAIN]),
    refused!("flag in a file", "restore", "[main]\npg1-path=/pg\ndelta=on\n", &[CONF, MAIN]),
    refused!("no section", "info", "repo1-path=/r\n", &[CONF]),
    refused!("no equals sign", "info", "[global]\nrepo1-path\n", &[CONF]),
    refused!("open section", "info", "[global\n", &[CONF]),
    refused!("empty section", "info", "[]\n", &[CONF]),
    refused!("passphrase missing", "info", "[global]\nrepo1-cipher-type=aes-256-cbc\n", &[CONF]),
    refused!("same folder twice", "info", "[global]\nrepo1-path=/r\nrepo2-path=/r\n", &[CONF]),
    refused!(
        "both hosts",
        "backup",
        "[global]\nrepo1-host=a\n[main]\npg1-path=/pg\npg1-host=b\n",
        &[CONF, MAIN]
    ),
    refused!(
        "timeouts",
        "backup",
        "[global]\ndb-timeout=100\nprotocol-timeout=100\n[main]\npg1-path=/pg\n",
        &[CONF, MAIN]
    ),
];

/// True if pgBackRest is there; where tests must not be skipped, its absence is a failure.
fn have_pgbackrest() -> bool {
    let there = Command::new("pgbackrest").arg("version").output().is_ok();
    let required = std::env::var_os("REQUIRE_SERVERS").is_some_and(|value| value == "1");
    assert!(there || !required, "pgbackrest is not installed, and REQUIRE_SERVERS=1 forbids to skip");
    if !there {
        eprintln!("skipped: pgbackrest is not installed");
    }
    there
}

/// A case with its files written and its folder filled in.
struct Ready {
    env: Vec<(String, String)>,
    cli: Vec<String>,
    _dir: tempfile::TempDir,
}

fn ready(case: &Case) -> Ready {
    let dir = tempfile::tempdir().unwrap();
    let fill = |text: &str| text.replace("DIR", dir.path().to_str().unwrap());
    for (name, text) in case.files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, fill(text)).unwrap();
    }
    let env = case.env.iter().map(|(name, value)| ((*name).to_owned(), fill(value))).collect();
    // Nothing of pgBackRest's may leave the folder: no lock in the host's place, no log file.
    let mut cli: Vec<String> = case.cli.iter().map(|arg| fill(arg)).collect();
    cli.push("--log-level-console=debug".to_owned());
    cli.push("--log-level-file=off".to_owned());
    cli.push(format!("--lock-path={}/lock", dir.path().display()));
    Ready { env, cli, _dir: dir }
}

/// pgBackRest traces this once it has accepted a configuration.
const ACCEPTED_BY_PGBACKREST: &str = "config/load::cfgLoad: => void";

/// What pgBackRest says when it begins, or what it says against the configuration.
fn pgbackrest(case: &Case, ready: &Ready) -> Result<BTreeSet<String>, String> {
    let mut command = Command::new("pgbackrest");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).envs(ready.env.clone());
    let output = command.args(&ready.cli).arg(case.command).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let begun = text.split_once(" command begin ").map(|(_, said)| said.lines().next().unwrap());
    let Some(options) = begun.filter(|_| text.contains(ACCEPTED_BY_PGBACKREST)) else {
        return Err(text);
    };
    let told = |option: &&str| !option.starts_with("--exec-id=") && !option.starts_with("--reset-");
    // It prints paths as they were given; their last slash means nothing.
    let plain = |option: &str| option.trim_end_matches('/').to_owned();
    Ok(options.split(' ').skip(1).filter(told).map(plain).collect())
}

fn ours(case: &Case, ready: &Ready) -> Result<Settings, String> {
    let mut args = ready.cli.iter();
    let mut cli = Vec::new();
    while let Some(arg) = args.next() {
        let arg = arg.strip_prefix("--").unwrap();
        let (name, mut value) = arg.split_once('=').map_or((arg, None), |(n, v)| (n, Some(v.to_owned())));
        if value.is_none() && CliOption::takes_argument(name).is_ok_and(|takes| takes) {
            value = args.next().cloned();
        }
        cli.push(CliOption { name: name.to_owned(), value });
    }
    let default_dir = Path::new("/etc/pgbackrest").to_owned();
    let config =
        Config::load(&Sources { cli, env: ready.env.clone(), default_dir }).map_err(|e| e.to_string())?;
    config.settings(case.command, None).map_err(|e| e.to_string())
}

/// Our settings in the form in which pgBackRest prints its own.
fn as_pgbackrest_prints(settings: &Settings) -> BTreeSet<String> {
    let mut printed = BTreeSet::new();
    for effective in settings.effective() {
        if !matches!(effective.origin, Origin::CommandLine | Origin::Environment(_) | Origin::File { .. }) {
            continue;
        }
        let name = effective.option;
        let def = options::find(&name, false).unwrap().def;
        match (def.kind, effective.value.as_deref()) {
            (Kind::Flag, Some("y")) => drop(printed.insert(format!("--{name}"))),
            (Kind::Flag, Some(_)) | (_, None) => drop(printed.insert(format!("--no-{name}"))),
            (Kind::List, _) => {
                printed.extend(settings.list(&name).iter().map(|value| format!("--{name}={value}")));
            }
            (Kind::Pairs, _) => {
                printed.extend(
                    settings.pairs(&name).iter().map(|(key, value)| format!("--{name}={key}={value}")),
                );
            }
            (_, Some(_)) if def.secret => drop(printed.insert(format!("--{name}=<redacted>"))),
            (_, Some(value)) => drop(printed.insert(format!("--{name}={value}"))),
        }
    }
    printed
}

#[test]
fn what_holds_is_what_holds_for_pgbackrest() {
    if !have_pgbackrest() {
        return;
    }
    for case in ACCEPTED {
        let ready = ready(case);
        let theirs =
            pgbackrest(case, &ready).unwrap_or_else(|said| panic!("{}: pgBackRest: {said}", case.name));
        let ours = ours(case, &ready).unwrap_or_else(|said| panic!("{}: {said}", case.name));
        assert_eq!(as_pgbackrest_prints(&ours), theirs, "{}", case.name);
    }
}

#[test]
fn what_pgbackrest_refuses_is_refused() {
    if !have_pgbackrest() {
        return;
    }
    for case in REFUSED {
        let ready = ready(case);
        assert!(pgbackrest(case, &ready).is_err(), "{}: pgBackRest accepts it", case.name);
        assert!(ours(case, &ready).is_err(), "{}: we accept it", case.name);
    }
}
