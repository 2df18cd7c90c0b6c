//! What every command that deals with operations or incidents needs: `pgmayday.toml`, the state directory, who asks.
//!
//! Looks things up once and changes nothing.

use super::Call;
use crate::base::Result;
use crate::base::state::StateDir;
use crate::cluster::owner::{self, Users};
use crate::config::Origin;
use crate::config::site::Site;
use std::path::{Path, PathBuf};

/// The variable that names `pgmayday.toml`.
const SITE_VARIABLE: &str = "PGMAYDAY_CONFIG";

/// What `pgmayday.toml` says: named by `PGMAYDAY_CONFIG`, or beside the `pgbackrest.conf` this call uses.
pub(super) fn site(call: &Call) -> Result<Site> {
    let folder = |folder: &str| Path::new(folder).join("pgbackrest.conf");
    let of_folder = || call.settings.text("config-path").map(folder);
    let named = call.settings.text("config").filter(|_| is_given(call, "config")).map(PathBuf::from);
    Ok(Site::load(variable(SITE_VARIABLE).as_deref(), named.or_else(of_folder).as_deref())?)
}

/// The state directory of this call.
pub(super) fn state(_call: &Call, site: &Site) -> Result<StateDir> {
    StateDir::find(site.state_dir.as_deref(), &variable)
}

/// Who asks: the login behind `sudo`, else the account of this process.
pub(super) fn actor() -> String {
    let plain = |name: &String| !name.is_empty() && !name.chars().any(char::is_control);
    let behind = std::env::var_os("SUDO_USER").and_then(|name| name.into_string().ok()).filter(plain);
    behind.unwrap_or_else(|| owner::current(&Users::new()).name)
}

fn is_given(call: &Call, option: &str) -> bool {
    !matches!(call.settings.origin(option), Origin::Default | Origin::Unset)
}

/// A variable of the environment as text, for what `pgmayday.toml` leaves to it.
pub(super) fn word(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}

/// A variable of the environment; one that is empty says nothing.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
