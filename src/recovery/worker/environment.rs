//! The variables an operation was configured with: whoever runs it must have them set. Looks at names only.

use crate::base::{Report, Result};
use crate::model::op::Spec;

/// Refuses if a variable the operation needs is not set in this process.
pub(in crate::recovery) fn check(spec: &Spec) -> Result<()> {
    match spec.environment.iter().find(|name| std::env::var_os(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Report::usage(format!(
            "operation {} was configured with the environment variable {name}, which is not set here",
            spec.id
        ))
        .hint(format!("set {name} as it was, then `pgmayday attach {} --resume`", spec.id))),
    }
}
