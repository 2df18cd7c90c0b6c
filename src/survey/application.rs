//! Asking the application's own check: a program that says when the data was right and when it was not.
//!
//! Runs without a shell as the owner of the data directory, and is killed at its deadline. What it prints is only
//! believed in the documented form.

use crate::base::Timestamp;
use crate::cluster::owner::{Users, current, is_root, owner_of, run_as};
use crate::cluster::process::run_limited;
use crate::model::board::Application;
use crate::model::fact::Answer;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// After this the program is killed.
const LIMIT: Duration = Duration::from_secs(5);
/// How many right moments are kept.
const MOMENTS: usize = 100;

/// The program, and what it is told.
#[derive(Debug, Clone)]
pub(super) struct Monitor {
    pub words: Vec<String>,
    pub stanza: String,
    pub data_dir: Option<PathBuf>,
    pub users: Arc<Users>,
}

/// What it prints.
#[derive(Deserialize)]
struct Printed {
    right: bool,
    #[serde(default)]
    why: String,
    #[serde(default)]
    last_right: Vec<Timestamp>,
    #[serde(default)]
    wrong_since: Option<Timestamp>,
}

impl Monitor {
    /// Nothing if no program is configured.
    pub(super) fn new(words: &[String], stanza: &str, data_dir: Option<PathBuf>) -> Option<Self> {
        (!words.is_empty()).then(|| Self {
            words: words.to_vec(),
            stanza: stanza.to_owned(),
            data_dir,
            users: Arc::new(Users::new()),
        })
    }

    pub(super) fn look(&self) -> Answer<Application> {
        self.ask().unwrap_or_else(|why| Answer::Unknown { why })
    }

    fn ask(&self) -> Result<Answer<Application>, String> {
        let Some((program, arguments)) = self.words.split_first() else {
            return Err("no program is named".to_owned());
        };
        let owner = self.data_dir.as_ref().and_then(|dir| owner_of(dir, &self.users).ok());
        let account = match owner {
            Some(owner) => owner,
            None if is_root() => return Err("nobody owns the data directory to ask it as".to_owned()),
            None => current(&self.users),
        };
        let mut command = run_as(&account, Path::new(program)).map_err(|error| error.to_string())?;
        command.args(arguments).env("PGMAYDAY_STANZA", &self.stanza).env("PGMAYDAY_OPERATION", "");
        if let Some(data_dir) = &self.data_dir {
            command.env("PGMAYDAY_DATA_DIR", data_dir);
        }
        let finished = run_limited(command, LIMIT).map_err(|error| error.to_string())?;
        if !finished.success() {
            return Err(format!("the monitor failed: {}", finished.complaint()));
        }
        parse(&finished.stdout)
    }
}

fn parse(text: &str) -> Result<Answer<Application>, String> {
    let mut printed: Printed = serde_json::from_str(text)
        .map_err(|error| format!("the monitor's answer cannot be read: {error}"))?;
    printed.last_right.sort_unstable_by(|a, b| b.cmp(a));
    printed.last_right.truncate(MOMENTS);
    let Printed { right, why, last_right, wrong_since } = printed;
    Ok(Answer::Known { value: Application { right, why, last_right, wrong_since } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(script: &str) -> Answer<Application> {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        let here = tempfile::tempdir().unwrap();
        Monitor::new(&words, "main", Some(here.path().to_owned())).unwrap().look()
    }

    #[test]
    fn only_the_documented_form_is_believed() {
        let right = r#"echo '{"right": false, "why": "no", "last_right": ["2026-11-21 02:03:11+00", "2026-11-21 02:03:11.2+00"],
            "wrong_since": "2026-11-21 02:03:11.4+00"}'"#;
        let Answer::Known { value } = monitor(right) else { unreachable!("not believed") };
        assert_eq!((value.right, value.why.as_str(), value.last_right.len()), (false, "no", 2));
        assert_eq!(value.last_right[0].to_string(), "2026-11-21 02:03:11.2+00", "newest first");
        for wrong in
            ["echo yes", "echo '{}'", "echo '{\"right\": 1}'", "true", "echo '{\"right\": true}'; exit 1"]
        {
            assert!(matches!(monitor(wrong), Answer::Unknown { .. }), "{wrong}");
        }
        let said = monitor("echo it is broken >&2; exit 2");
        assert!(matches!(&said, Answer::Unknown { why } if why.contains("it is broken")), "{said:?}");
    }

    #[test]
    fn it_is_told_what_it_looks_at() {
        let told = monitor(r#"echo "{\"right\": true, \"why\": \"$PGMAYDAY_STANZA $PGMAYDAY_DATA_DIR\"}""#);
        assert!(matches!(&told, Answer::Known { value } if value.why.starts_with("main /")), "{told:?}");
    }
}
