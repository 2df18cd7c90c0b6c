//! The program from outside: help, mistakes, exit codes, where output goes, and that no secret ever shows.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "tests start the program")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const SECRET: &str = "Geheim+Passwort/4711";

/// A folder with a configuration whose every secret is `SECRET`.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        let text = format!(
            "[global]\nrepo1-path=/r\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass={SECRET}\n\
             repo1-cipher-passs={SECRET}\nrepo2-type=s3\nrepo2-s3-bucket=b\nrepo2-s3-endpoint=e\nrepo2-s3-region=r\n\
             repo2-s3-key={SECRET}\nrepo2-s3-key-secret={SECRET}\n[global:restore]\nprocess-max=3\n\
             recovery-option=primary_conninfo=host=a password={SECRET}\nrepo1-s3-token={SECRET}\n\
             [main]\npg1-path=/pg\n[second]\npg1-path=/pg2\n\
             recovery-option=primary_conninfo=postgres://me:{SECRET}@h/db\n"
        );
        fs::write(place.conf(), text).unwrap();
        place
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("p.conf")
    }

    fn run(&self, args: &str) -> Output {
        let conf = self.conf();
        let args = args.split_whitespace().map(|arg| arg.replace("CONF", conf.to_str().unwrap()));
        program().args(args).output().unwrap()
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgmayday"));
    command.env_clear();
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Exit code, standard output, standard error.
fn parts(output: &Output) -> (i32, &str, &str) {
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_is_had_in_every_way() {
    let place = Place::new();
    for args in ["--help", "-h", "help"] {
        let output = place.run(args);
        let (code, out, err) = parts(&output);
        assert_eq!((code, err), (0, ""), "{args}");
        assert!(out.contains("doctor") && out.contains("Exit codes"), "{out}");
    }
    let pages: Vec<_> = ["help doctor", "doctor --help", "--help doctor", "--stanza=x doctor -h"]
        .map(|args| place.run(args))
        .into();
    for page in &pages {
        assert_eq!(parts(page), parts(&pages[0]));
        assert!(parts(page).1.contains("--config-origin") && parts(page).1.contains("--log-level-console"));
    }
    let option = place.run("help doctor repo1-path");
    assert!(parts(&option).1.contains("PGBACKREST_REPO1_PATH"));
    let parts_of: Vec<_> =
        ["help incident role take", "incident role take --help", "incident role take lead -h"]
            .map(|args| place.run(args))
            .into();
    for page in &parts_of {
        assert_eq!(parts(page), parts(&parts_of[0]));
        assert!(parts(page).1.contains("--reason"), "{}", parts(page).1);
    }
    assert!(parts(&place.run("incident comms --help")).1.contains("flush"));
    assert_eq!(place.run("help doctr").status.code(), Some(2));
    assert_eq!(place.run("help doctor repo1-pth").status.code(), Some(2));
}

#[test]
fn mistakes_exit_with_2_and_say_what_to_do() {
    let place = Place::new();
    for (args, said) in [
        ("doctr", "did you mean 'pgmayday doctor'"),
        ("doctor --config=CONF --config-orign", "write --config-origin"),
        ("doctor --config=CONF --stnaza=x", "write --stanza"),
        ("doctor --config=CONF", "--config-origin"),
        ("doctor --config=CONF word", "help doctor"),
        ("doctor --config=/nowhere/p.conf --config-origin", "check the path"),
        ("doctor -x", "two dashes"),
        ("completions", "help completions"),
        ("completions tcsh", "help completions"),
        ("version --config=a --config=b", "several times"),
    ] {
        let output = place.run(args);
        let (code, out, err) = parts(&output);
        assert_eq!((code, out), (2, ""), "{args}: {err}");
        assert!(err.contains(said), "{args}: {err}");
    }
}

#[test]
fn json_errors_stand_alone_on_standard_output() {
    let place = Place::new();
    for args in ["doctr --output=json", "--output json doctor --config=CONF --config-orign"] {
        let output = place.run(args);
        let (code, out, err) = parts(&output);
        assert_eq!((code, err), (2, ""), "{args}");
        let error: serde_json::Value = serde_json::from_str(out).unwrap();
        assert_eq!((&error["schema"], &error["kind"]), (&"pgmayday.error/1".into(), &"usage".into()));
        assert!(error["hint"].is_string());
    }
}

#[test]
fn options_may_stand_before_and_after_the_command() {
    let place = Place::new();
    let first = place.run("--config=CONF --stanza=main doctor --config-origin");
    for args in [
        "doctor --config CONF --config-origin --stanza main",
        "--config-origin doctor --stanza=main --config=CONF",
    ] {
        assert_eq!(parts(&place.run(args)), parts(&first), "{args}");
    }
    assert_eq!(first.status.code(), Some(0));
}

#[test]
fn origins_are_shown_for_each_stanza() {
    let place = Place::new();
    let conf = place.conf().display().to_string();
    let output = program()
        .args(["doctor", "--config-origin", "--output=json", "--config", &conf, "--no-delta"])
        .env("PGBACKREST_PROCESS_MAX", "7")
        .output()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "pgmayday.config-origin/1");
    let scopes = document["scopes"].as_array().unwrap();
    let named: Vec<_> =
        scopes.iter().map(|s| s["stanza"].as_str().or(s["section"].as_str()).unwrap()).collect();
    assert_eq!(named, ["main", "second", "global:restore"]);
    let find = |scope: usize, option: &str| {
        let options = scopes[scope]["options"].as_array().unwrap();
        let row = options.iter().find(|row| row["option"] == option).unwrap();
        (row["value"].as_str().unwrap(), row["origin"].as_str().unwrap().replace(&conf, "CONF"))
    };
    assert_eq!(find(0, "pg1-path"), ("/pg", "CONF:17 [main]".to_owned()));
    assert_eq!(find(1, "pg1-path"), ("/pg2", "CONF:19 [second]".to_owned()));
    assert_eq!(find(0, "process-max"), ("7", "environment variable PGBACKREST_PROCESS_MAX".to_owned()));
    assert_eq!(find(0, "delta"), ("n", "command line".to_owned()));
    assert_eq!(find(0, "repo1-cipher-pass"), ("***", "CONF:4 [global]".to_owned()));
    assert_eq!(find(2, "process-max"), ("3", "CONF:13 [global:restore]".to_owned()));
    assert_eq!(find(0, "lock-path"), ("/tmp/pgbackrest", "default".to_owned()));
}

#[test]
fn settings_that_are_not_text_are_refused_not_left_out() {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = std::ffi::OsStr::from_bytes(b"/r\xFF");
    let run =
        |name: &str| program().args(["doctor", "--config-origin", "--no-config"]).env(name, bytes).output();
    let output = run("PGBACKREST_REPO1_PATH").unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("PGBACKREST_REPO1_PATH is not UTF-8"));
    assert_eq!(run("SOMETHING_ELSE").unwrap().status.code(), Some(0));
    let argument = program().arg("doctor").arg(bytes).output().unwrap();
    assert_eq!(argument.status.code(), Some(2));
}

#[test]
fn warnings_follow_the_log_level() {
    let place = Place::new();
    let told = |level: &str| {
        let output = place.run(&format!("doctor --config-origin --config=CONF {level}"));
        parts(&output).2.lines().filter(|line| line.contains("repo1-cipher-passs")).count()
    };
    assert_eq!((told(""), told("--log-level-console=error"), told("--log-level-console=detail")), (1, 0, 1));
}

#[test]
fn no_secret_is_ever_shown() {
    let place = Place::new();
    let mut runs = Vec::new();
    for args in [
        "doctor --config-origin --config=CONF",
        "doctor --config-origin --config=CONF --output=json",
        "doctor --config-origin --config=CONF --log-level-console=trace --stanza=second",
        "doctor --config-origin --config=CONF --repo1-cipher-pass=SECRET",
        "doctor --config-origin --config=CONF --repo1-cipher-pass SECRET",
        "doctor --config-origin --config=CONF --repo1-cipher-passs=SECRET --output=json",
        "doctor --config-origin --config=CONF --repo1-cipher-passs SECRET",
        "--repo1-cipher-p=SECRET doctor",
        "doctor --config-origin --config=CONF --no-repo1-cipher-pass=SECRET",
        "doctor --config-origin --config=CONF --pasword=SECRET",
    ] {
        runs.push((args, place.run(&args.replace("SECRET", SECRET))));
    }
    for line in [
        "SECRET",
        "repo1-cipher-pass SECRET",
        "[SECRET",
        "=SECRET",
        "repo1-s3-token=SECRET\nrepo1-s3-token=SECRET",
    ] {
        let conf = place.dir.path().join("bad.conf");
        fs::write(&conf, format!("[global]\nrepo1-type=s3\n{}\n", line.replace("SECRET", SECRET))).unwrap();
        runs.push((
            line,
            program().args(["doctor", "--config-origin", "--config"]).arg(&conf).output().unwrap(),
        ));
    }
    let by_env = |name: &str, value: &str| {
        program().args(["doctor", "--config-origin", "--no-config"]).env(name, value).output().unwrap()
    };
    runs.push(("variable", by_env("PGBACKREST_REPO1_CIPHER_PASS", SECRET)));
    runs.push(("misspelt variable", by_env("PGBACKREST_REPO1_CIPHER_PASSS", SECRET)));
    for (what, output) in runs {
        for stream in [&output.stdout, &output.stderr] {
            assert!(!text(stream).contains(SECRET), "{what}: {}", text(stream));
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program();
    let command = command.args(["completions", "bash"]).stdout(writer).stderr(Stdio::piped());
    assert_eq!(parts(&command.output().unwrap()), (0, "", ""));
    assert_eq!(place.run("man").status.code(), Some(0));
}

#[test]
fn completions_and_manual_pages_know_the_commands_and_options() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = place.run(&format!("completions {shell}"));
        let (code, out, err) = parts(&output);
        assert_eq!((code, err), (0, ""));
        assert!(out.contains("config-origin") && out.contains("log-level-console"), "{shell}");
    }
    let script = place.dir.path().join("complete.bash");
    fs::write(&script, place.run("completions bash").stdout).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&script).output().unwrap();
    assert_eq!(parts(&checked), (0, "", ""));
    let page = place.run("man");
    assert!(parts(&page).1.contains(".TH pgmayday 1") && parts(&page).1.contains("doctor"));
    let page = place.run("man doctor");
    assert!(parts(&page).1.contains(".TH pgmayday-doctor 1") && parts(&page).1.contains("config\\-origin"));
}

#[test]
fn the_version_is_printed_in_every_form() {
    let place = Place::new();
    let version = env!("CARGO_PKG_VERSION");
    for args in ["version", "--version", "-V", "doctor --version"] {
        assert_eq!(parts(&place.run(args)), (0, format!("pgmayday {version}\n").as_str(), ""), "{args}");
    }
    assert_eq!(parts(&place.run("version --output=num")).1, format!("{version}\n"));
    let json = place.run("version --output=json");
    assert_eq!(parts(&json).1, format!("{{\"schema\":\"pgmayday.version/1\",\"version\":\"{version}\"}}\n"));
    let broken = program()
        .arg("version")
        .env("PGBACKREST_OUTPUT", "nonsense")
        .env("PGBACKREST_REPO-PATH", "")
        .output()
        .unwrap();
    assert_eq!(broken.status.code(), Some(0), "works whatever the environment says");
}
