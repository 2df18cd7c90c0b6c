//! The entry of `backup.info` worked out from a manifest is the one pgBackRest wrote, for every backup there is.

use crate::fixtures::{ALL, Fixture};
use pgmayday::repo::{BackupEntry, BackupInfo};

#[test]
fn the_entry_of_every_backup_is_what_pgbackrest_wrote() {
    let mut compared = 0;
    for name in ALL {
        let fixture = Fixture::open(name);
        let stanza = fixture.repository().stanza(&fixture.stanza);
        let info: BackupInfo = stanza.backup_info().unwrap().value;
        for (label, written) in &info.backups {
            let manifest = stanza.manifest(&info, label).unwrap().value;
            let mut computed = BackupEntry::of(&manifest);
            // Notes may have been changed after the backup was made.
            if written.annotations != computed.annotations {
                computed.annotations.clone_from(&written.annotations);
            }
            assert_eq!(format!("{computed:?}"), format!("{written:?}"), "{name} {label}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}
