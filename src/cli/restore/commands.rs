//! The commands that do by hand what a plan says, for the operator to keep.

use crate::cli::Call;
use crate::engine::restore::PlanView;

/// The restore itself, then the start.
pub(super) fn exact(call: &Call, view: &PlanView) -> Vec<String> {
    let program = call.program.to_string_lossy().into_owned();
    let given = call
        .arguments
        .iter()
        .filter(|arg| !matches!(arg.as_str(), "--dry-run" | "--dry-run=y" | "--output=json"));
    let restore: Vec<_> = std::iter::once(&program).chain(given).map(|word| quoted(word)).collect();
    let data_dir = view.data_dir.to_string_lossy();
    let mut commands = vec![restore.join(" ")];
    if view.kind != "none" {
        commands.push(format!(
            "pg_ctl -D {} -w start    (as its owner, with PostgreSQL {}; or start its service)",
            quoted(&data_dir),
            view.version
        ));
    }
    commands
}

/// One word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("--type=time"), "--type=time");
        assert_eq!(quoted("--target=2026-11-21 01:06:03+00"), "'--target=2026-11-21 01:06:03+00'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
