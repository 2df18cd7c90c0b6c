//! Whatever the calendar, the retention and the pins: what is kept is kept whole.

use crate::made::segment;
use crate::world::{World, fulls};
use pgmayday::base::{BackupKind, BackupLabel, WalSegment};
use pgmayday::engine::expire::{FullRetention, Request, Retention};
use pgmayday::engine::pin::{LastWal, PIN, PIN_WAL, Pin};
use proptest::prelude::*;

/// One day of the calendar.
#[derive(Debug, Clone)]
enum Day {
    Full,
    Diff,
    Incr,
    /// WAL only.
    Wal(u32),
    /// A promotion.
    Timeline,
    /// Another cluster.
    Upgrade,
    /// The backup made last is pinned, through so many segments after it; nothing = it does not say.
    Pin(Option<u32>),
    /// WAL goes on far ahead.
    Jump,
    Offline,
}

fn day() -> impl Strategy<Value = Day> {
    prop_oneof![
        4 => Just(Day::Full),
        4 => Just(Day::Diff),
        6 => Just(Day::Incr),
        3 => (1u32..6).prop_map(Day::Wal),
        1 => Just(Day::Timeline),
        1 => Just(Day::Upgrade),
        2 => proptest::option::of(0u32..6).prop_map(Day::Pin),
        1 => Just(Day::Jump),
        1 => Just(Day::Offline),
    ]
}

fn retention() -> impl Strategy<Value = Retention> {
    let full = prop_oneof![
        1 => Just(FullRetention::All),
        4 => (1u64..5).prop_map(FullRetention::Count),
        3 => (0u64..20).prop_map(FullRetention::Days),
    ];
    let some = || proptest::option::of(1u64..5);
    let kind = prop_oneof![Just(BackupKind::Full), Just(BackupKind::Diff), Just(BackupKind::Incr)];
    (full, some(), some(), kind, proptest::option::of(0u64..20)).prop_map(
        |(full, diff, archive, archive_kind, history_days)| Retention {
            full,
            diff,
            archive,
            archive_kind,
            history_days,
        },
    )
}

fn live(days: &[Day]) -> World {
    let mut world = World::new();
    let mut last: Option<BackupLabel> = None;
    for day in days {
        let listed = last.is_some();
        match day {
            Day::Full => last = Some(world.full()),
            Day::Diff if listed => last = Some(world.diff()),
            Day::Incr if listed => last = Some(world.incr()),
            Day::Offline => last = Some(world.offline()),
            Day::Wal(count) => world.wal(*count),
            Day::Timeline => {
                world.timeline += 1;
                world
                    .made
                    .archived(world.made.info.current_db_id, &format!("{:08X}.history", world.timeline));
            }
            Day::Upgrade => {
                world.made.upgrade();
                last = None;
            }
            Day::Jump => world.number += 0x180,
            Day::Pin(more) => {
                if let Some(label) = &last {
                    world.note(label, PIN, "p");
                    if let Some(more) = more {
                        let wal = segment(world.timeline, world.number + more).to_string();
                        world.note(label, PIN_WAL, &wal);
                    }
                }
            }
            Day::Diff | Day::Incr => {}
        }
    }
    world
}

/// True if a segment of a cluster is there now.
fn is_there(world: &World, id: u32, segment: WalSegment) -> bool {
    world.has(&format!("archive/main/15-{id}/{}/{segment}-{}.gz", segment.folder(), crate::made::WAL_SHA1))
}

fn assert_kept(world: &World, retention: &Retention) {
    let before = world.made.stanza.backup_info().unwrap().value;
    // Checks that what is listed is whole, with the WAL that makes it consistent.
    let view = world.keep(retention);
    let after = world.made.stanza.backup_info().unwrap().value;
    for (label, entry) in &before.backups {
        let Some(pin) = Pin::of(&entry.annotations) else { continue };
        for needed in before.needs(label) {
            assert!(after.backups.contains_key(&needed), "{label} is pinned and {needed} is gone");
        }
        let Some(start) = entry.archive_start else { continue };
        let last = pin.last_wal(entry);
        for (id, segment) in world.archived.iter().filter(|(id, _)| *id == entry.db_id) {
            let needed = *segment >= start
                && match last {
                    LastWal::Unknown => true,
                    LastWal::Through(last) => *segment <= last,
                };
            assert!(!needed || is_there(world, *id, *segment), "{label} is pinned and {segment} is gone");
        }
    }
    // Of the cluster that is there now the newest backup plays to the end, whatever is kept.
    let current = after.current_db_id;
    let newest =
        after.backups.values().rfind(|entry| entry.db_id == current && entry.archive_start.is_some());
    if let Some(start) = newest.and_then(|entry| entry.archive_start) {
        for (id, segment) in world.archived.iter().filter(|(id, segment)| *id == current && *segment >= start)
        {
            assert!(is_there(world, *id, *segment), "{segment} after the newest backup is gone");
        }
    }
    // So does every full backup that a count keeps, if WAL is kept for as many.
    if let (FullRetention::Count(count), None, BackupKind::Full) =
        (retention.full, retention.archive, retention.archive_kind)
    {
        let counted = after
            .backups
            .values()
            .rev()
            .filter(|entry| entry.kind == BackupKind::Full && Pin::of(&entry.annotations).is_none());
        for entry in counted.take(usize::try_from(count).unwrap()) {
            let Some(start) = entry.archive_start else { continue };
            for (id, segment) in
                world.archived.iter().filter(|(id, segment)| *id == entry.db_id && *segment >= start)
            {
                assert!(is_there(world, *id, *segment), "{} is kept and {segment} is gone", entry.label);
            }
        }
    }
    // A full backup that nothing outnumbers is never gone.
    if let FullRetention::Count(count) = retention.full {
        let full = |info: &pgmayday::repo::BackupInfo| {
            info.backups.keys().filter(|l| l.kind() == BackupKind::Full).count() as u64
        };
        assert!(full(&after) >= full(&before).min(count), "{view:?}");
    }
    assert!(world.keep(retention).is_empty(), "a second run finds something to do");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_kept_whole(days in proptest::collection::vec(day(), 1..24), retention in retention()) {
        assert_kept(&live(&days), &retention);
    }

    #[test]
    fn whatever_is_expired_by_name_the_rest_is_whole(
        days in proptest::collection::vec(day(), 1..16),
        which in 0usize..16,
        retention in retention(),
    ) {
        let world = live(&days);
        let listed = world.listed();
        if let Some(label) = listed.get(which % listed.len().max(1)) {
            let request = Request { set: Some(label.clone()), accept: ["pinned".to_owned()].into(), ..Request::default() };
            // Checks that what is still listed is whole.
            drop(world.expire(&retention, &request));
            let full = |label: &&BackupLabel| label.kind() == BackupKind::Full;
            prop_assert!(world.listed().iter().any(|label| full(&label)));
        }
    }
}

fn cases() -> u32 {
    u32::try_from(crate::random::number("PGMAYDAY_CASES", 150, 5000)).unwrap()
}

#[test]
fn the_calendar_itself_is_sound() {
    let world =
        live(&[Day::Full, Day::Incr, Day::Timeline, Day::Diff, Day::Upgrade, Day::Full, Day::Pin(Some(2))]);
    crate::made::assert_sound(&world.made.stanza, &world.archived);
    assert_eq!(crate::made::kinds(&world.made.info), "FIDF");
    assert!(world.keep(&fulls(9)).expired.is_empty());
}
