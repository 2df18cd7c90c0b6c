//! The commands that do by hand what a plan says, for the operator to keep.

use crate::base::shell::quoted;
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
