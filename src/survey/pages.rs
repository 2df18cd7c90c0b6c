//! Reading every page of a data directory on request, and asking the server what the damaged files hold.
//!
//! Reads only. Goes on as long as it takes; what was found so far can be seen at any time.

use super::member::ServerPlace;
use crate::base::Lsn;
use crate::cluster::sql::{Sql, SqlError};
use crate::engine::page_scan::{PageScan, run};
use crate::model::fact::Answer;
use crate::model::op::Cancel;
use crate::model::situation::{PageDamage, PageFacts};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// So many damaged files are looked up.
const MOST_NAMED: usize = 50;
/// How often a file is looked up whose server is slow to answer: table or index is another recovery.
const TRIES: usize = 3;

/// A data directory whose pages are read, and where to see how far that is.
#[derive(Debug, Clone)]
pub(super) struct PagesPlace {
    pub data_dir: PathBuf,
    pub server: ServerPlace,
    pub seen: Arc<Mutex<PageFacts>>,
    pub cancel: Cancel,
}

impl PagesPlace {
    pub(super) fn look(&self) -> Answer<PageFacts> {
        let mut position = || {
            let (address, owner) = self.server.way();
            let mut sql = Sql::connect(&address, owner.as_ref()).ok()?;
            let call = if sql.is_in_recovery().ok()? {
                "pg_last_wal_replay_lsn()"
            } else {
                "pg_current_wal_insert_lsn()"
            };
            sql.value(&format!("select {call}")).ok()??.parse::<Lsn>().ok()
        };
        let mut progress = |facts: &PageFacts| {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone_from(facts);
        };
        let request = PageScan { data_dir: &self.data_dir, position: &mut position, cancel: &self.cancel };
        match run(request, &mut progress) {
            Ok(mut facts) => {
                for damage in facts.damaged.iter_mut().take(MOST_NAMED) {
                    // A server that does not answer leaves the file's name.
                    let found = (0..TRIES).find_map(|_| self.relation(damage).ok());
                    if let Some(Some((relation, index))) = found {
                        (damage.relation, damage.index) = (Some(relation), Some(index));
                    }
                }
                Answer::Known { value: facts }
            }
            Err(report) => Answer::Unknown { why: report.headline },
        }
    }

    /// The relation a file belongs to and whether it is an index, if the server tells: of files like `base/5/16384.1`.
    fn relation(&self, damage: &PageDamage) -> Result<Option<(String, bool)>, SqlError> {
        let parts: Vec<&str> = damage.file.split('/').collect();
        let ["base", database, file] = parts.as_slice() else { return Ok(None) };
        let digits: String = file.chars().take_while(char::is_ascii_digit).collect();
        let (Ok(database), Ok(node)) = (database.parse::<u32>(), digits.parse::<u32>()) else {
            return Ok(None);
        };
        let (address, owner) = self.server.way();
        let mut sql = Sql::connect(&address, owner.as_ref())?;
        let Some(name) = sql.value(&format!("select datname from pg_database where oid = {database}"))?
        else {
            return Ok(None);
        };
        let mut sql = Sql::connect(&address.with_database(&name), owner.as_ref())?;
        let rows = sql.rows(&format!(
            "select oid::regclass::text, relkind = 'i' from pg_class where oid = pg_filenode_relation(0, {node})"
        ))?;
        let mut fields = rows.into_iter().next().unwrap_or_default().into_iter();
        let (relation, index) = (fields.next().flatten(), fields.next().flatten());
        Ok(relation.map(|relation| (format!("{relation} ({name})"), index.as_deref() == Some("t"))))
    }
}
