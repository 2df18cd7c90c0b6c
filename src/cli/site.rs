//! What commands need of this site: `pgmayday.toml`, the state directory, and who is calling.
//!
//! Reads the environment and one file; writes nothing.

use super::Call;
use crate::base::Result;
use crate::base::state::StateDir;
use crate::cluster::owner::{Users, current};
use crate::config::site::Site;
use std::path::{Path, PathBuf};

/// What `pgmayday.toml` says, found as this call's configuration leads to it.
pub(super) fn site(call: &Call) -> Result<Site> {
    let named = variable("PGMAYDAY_CONFIG");
    Ok(Site::load(named.as_deref(), call.settings.text("config").map(Path::new))?)
}

/// Where operations and incidents are kept.
pub(super) fn state(_call: &Call, site: &Site) -> Result<StateDir> {
    StateDir::find(site.state_dir.as_deref(), &variable)
}

/// Who is calling: the account, and before it the one that became it by `sudo`.
pub(super) fn actor() -> String {
    let sudo = variable("SUDO_USER").map(|name| name.to_string_lossy().into_owned());
    sudo.unwrap_or_else(|| current(&Users::new()).name)
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
