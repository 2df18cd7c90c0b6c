//! The hold of an incident on a stanza of this host, kept where the stanza's locks are.
//!
//! Other hosts that back the stanza up, and pgBackRest's own commands, know nothing of it. A lock folder that has to be made
//! for it belongs to the cluster's owner, and so does the hold: what root left there nobody else could lift.

use crate::base::state::give_to_owner_of_folder;
use crate::base::{Report, Result, Timestamp};
use crate::cluster::owner::{Account, Users, current, is_root, owner_of};
use crate::config::Settings;
use crate::config::site::StanzaSite;
use crate::engine::hold::{self, Held, Hold};
use crate::engine::locks::LockFolder;
use crate::model::hold::Keeper;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a hold lasts that nobody lifts, unless `pgmayday.toml` says otherwise.
pub const LENGTH: Duration = Duration::from_secs(72 * 3600);

/// Holds of one stanza.
#[derive(Debug)]
pub struct StanzaHold {
    stanza: String,
    folder: LockFolder,
    /// Nothing where holds are not wanted, or the stanza is not one of this host.
    length: Option<Duration>,
    /// Whose owner a lock folder belongs to: the first of these that is there.
    places: Vec<PathBuf>,
}

impl StanzaHold {
    /// The holds of the stanza that `settings` are for: those of no single command, for nothing is needed here.
    pub fn new(settings: &Settings, site: &StanzaSite) -> Result<Self> {
        let stanza = settings.stanza().ok_or_else(|| Report::usage("a hold needs --stanza"))?.to_owned();
        let length = site.hold.unwrap_or(LENGTH);
        let clusters = settings.pg().iter().filter(|pg| pg.host.is_none()).map(|pg| pg.path.clone());
        let stores = settings.repos().iter();
        let stores = stores.filter_map(|repo| repo.local_path(settings.command()).ok().map(Path::to_owned));
        Ok(Self {
            folder: LockFolder(PathBuf::from(settings.text("lock-path").unwrap_or("/tmp/pgbackrest"))),
            length: Some(length).filter(|length| !length.is_zero() && !settings.pg().is_empty()),
            places: clusters.chain(stores).collect(),
            stanza,
        })
    }

    /// Makes the folder of the locks, for the account whose locks they are.
    fn make_folder(&self) -> Result<()> {
        let folder = &self.folder.0;
        if folder.is_dir() {
            return Ok(());
        }
        let owner = self.owner()?;
        if !is_root() && current(&Users::new()).uid != owner.uid {
            return Err(Report::failed(format!("{} is not there yet", folder.display()))
                .hint(format!("run this as {} or as root", owner.name)));
        }
        Ok(super::make_folder_for(folder, &owner, 0o770)?)
    }

    fn owner(&self) -> Result<Account> {
        match self.places.iter().find(|place| place.exists()) {
            Some(place) => Ok(owner_of(place, &Users::new())?),
            None => Err(Report::failed(format!(
                "{} is not there yet, and nothing tells whose it is to be",
                self.folder.0.display()
            ))
            .hint("make it, for the user PostgreSQL runs as")),
        }
    }
}

impl Keeper for StanzaHold {
    fn place(&self, incident: &str, by: &str) -> Result<Option<Timestamp>> {
        let Some(length) = self.length else { return Ok(None) };
        self.make_folder()?;
        let now = Timestamp::now();
        let since = match hold::look(&self.folder, &self.stanza, now) {
            Held::Yes(standing) if standing.incident == incident => standing.since,
            _ => now,
        };
        let until = Timestamp(now.0.saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX)));
        let hold = Hold { incident: incident.to_owned(), since, until, by: by.to_owned() };
        hold::place(&self.folder, &self.stanza, &hold, now)?;
        let path = hold::path(&self.folder, &self.stanza)?;
        give_to_owner_of_folder(&path).map_err(|error| {
            Report::failed(format!("cannot give {} to its folder's owner: {error}", path.display()))
        })?;
        Ok(Some(until))
    }

    fn lift(&self, incident: &str) -> Result<bool> {
        match hold::look(&self.folder, &self.stanza, Timestamp::now()) {
            // It is that one's to lift.
            Held::Yes(other) | Held::Over(other) if other.incident != incident => Ok(false),
            Held::No => Ok(false),
            _ => hold::lift(&self.folder, &self.stanza, Some(incident)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CliOption, Config, EVERY_COMMAND, Sources};
    use std::os::unix::fs::{MetadataExt as _, chown};

    fn keeper(dir: &Path, options: &[(&str, &str)], hold: Option<Duration>) -> StanzaHold {
        let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let (lock, repo) = (path("lock"), path("repo"));
        let fixed = [("stanza", "main"), ("lock-path", &*lock), ("repo1-path", &*repo)];
        let option =
            |(name, value): &(&str, &str)| CliOption { name: (*name).into(), value: Some((*value).into()) };
        let cli = fixed.iter().chain(options).map(option).collect();
        let config = Config::load(&Sources { cli, env: Vec::new(), default_dir: dir.to_owned() }).unwrap();
        let site = StanzaSite { hold, ..StanzaSite::default() };
        StanzaHold::new(&config.settings(EVERY_COMMAND, Some("main")).unwrap(), &site).unwrap()
    }

    #[test]
    fn it_stands_until_its_incident_lifts_it() {
        let dir = tempfile::tempdir().unwrap();
        let pg = dir.path().join("pg");
        std::fs::create_dir(&pg).unwrap();
        let uid = if is_root() { 65_534 } else { current(&Users::new()).uid };
        if is_root() {
            chown(&pg, Some(uid), Some(uid)).unwrap();
        }
        let keeper = keeper(dir.path(), &[("pg1-path", pg.to_str().unwrap())], None);
        let before = Timestamp::now();
        let until = keeper.place("2026-11-21-01", "dk").unwrap().unwrap();
        let us = i64::try_from(LENGTH.as_micros()).unwrap();
        assert!((before.0 + us..before.0 + us + 60_000_000).contains(&until.0), "{until}");
        let Held::Yes(first) = hold::look(&keeper.folder, "main", Timestamp::now()) else {
            unreachable!("it stands");
        };
        assert_eq!((first.incident.as_str(), first.by.as_str()), ("2026-11-21-01", "dk"));
        for made in [keeper.folder.0.clone(), hold::path(&keeper.folder, "main").unwrap()] {
            assert_eq!(made.metadata().unwrap().uid(), uid, "{}", made.display());
        }
        // Placed again it is prolonged; another incident neither takes it over nor lifts it.
        let again = keeper.place("2026-11-21-01", "dk").unwrap().unwrap();
        let Held::Yes(second) = hold::look(&keeper.folder, "main", Timestamp::now()) else {
            unreachable!("it stands");
        };
        assert!(again >= until && second.since == first.since && second.until == again);
        keeper.place("2026-11-21-02", "dk").unwrap_err();
        assert!(!keeper.lift("2026-11-21-02").unwrap());
        assert!(keeper.lift("2026-11-21-01").unwrap() && !keeper.lift("2026-11-21-01").unwrap());
        assert_eq!(hold::look(&keeper.folder, "main", Timestamp::now()), Held::No);
    }

    #[test]
    fn where_nothing_is_to_be_held_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let pg = ("pg1-path", dir.path().to_str().unwrap());
        assert_eq!(keeper(dir.path(), &[pg], Some(Duration::ZERO)).place("x", "dk").unwrap(), None);
        // A stanza that is not configured here.
        assert_eq!(keeper(dir.path(), &[], None).place("x", "dk").unwrap(), None);
        // Nothing tells whose the folder is to be.
        let nowhere = keeper(dir.path(), &[("pg1-path", "/nonexistent/pg")], None);
        let report = nowhere.place("x", "dk").unwrap_err();
        assert!(report.headline.contains("whose"), "{report}");
        assert!(!dir.path().join("lock").exists());
        assert!(!nowhere.lift("x").unwrap());
    }
}
