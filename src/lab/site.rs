//! The lab's `pgmayday.toml`: the lab is configured as any cluster is, and everything above knows nothing else of it.
//!
//! Only text is made here; nothing is read.

use super::layout::{Lab, STANZA, SUPERUSER, Settings};
use super::service::{SUBCOMMAND, Verb};
use std::fmt::Write as _;
use std::path::Path;

/// The content of the file.
pub fn text(lab: &Lab) -> String {
    let Settings { program, pg_bin, standby_port, .. } = lab.settings();
    let mut text = format!(
        "# written by pgmayday lab
state-dir = {state}

[stanza.{STANZA}]
label = \"LAB\"
rpo = \"1m\"
rto = \"5m\"
backup-age = \"26h\"
pg-bin = {bin}

[[stanza.{STANZA}.member]]
name = \"standby\"
port = {standby_port}
socket-dir = {sockets}
data-dir = {standby}
user = {user}

[stanza.{STANZA}.hooks]
",
        state = quoted(&lab.state_dir()),
        bin = quoted(pg_bin),
        sockets = quoted(&lab.sockets()),
        standby = quoted(&lab.standby()),
        user = string(SUPERUSER),
    );
    let dir = format!("--dir={}", lab.dir().display());
    for (verb, _) in Verb::ALL {
        let words = [quoted(program), string("lab"), string(SUBCOMMAND), string(verb), string(&dir)];
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{verb} = [{}]", words.join(", "));
    }
    text
}

fn quoted(path: &Path) -> String {
    string(&path.display().to_string())
}

/// A basic string of TOML, whose escapes are those of JSON.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
