//! Pushing in the background.

use super::*;

#[test]
fn the_background_pushes_all_that_waits_and_tells_each() {
    let yard = Yard::new();
    let job = yard.job();
    let names = [ONE, TWO, THREE, HISTORY];
    for name in names {
        let history = b"1\t0/B00000\tno recovery target specified\n".to_vec();
        yard.write(name, &if name == HISTORY { history } else { content_of(name, 7) });
    }
    let (pushed, launched) = yard.push_by_spool(&job, ONE);
    assert_eq!((pushed.unwrap().warnings.len(), launched), (0, 1));
    for name in &names[1..] {
        assert_eq!(yard.push_by_spool(&job, name).1, 0, "{name} was pushed ahead");
        let ok = yard.spool().folder().join(format!("{name}.ok"));
        assert_eq!(ok.metadata().unwrap().len(), 0);
    }
    assert!([ONE, TWO, THREE].iter().all(|name| yard.archived(2, name).unwrap() == content_of(name, 7)));
    assert!(yard.small(2, HISTORY).is_some());
    for name in &names {
        yard.done(name);
    }
    assert_eq!(yard.attend(&job).unwrap(), Ended::Idle);
    assert_eq!(std::fs::read_dir(yard.spool().folder()).unwrap().count(), 0, "what nobody waits for goes");
    // One at a time.
    let held = job.locks.take("main", &[crate::engine::locks::Work::Archive], &[1]).unwrap();
    assert_eq!(yard.attend(&job).unwrap(), Ended::Attended);
    drop(held);
}

#[test]
fn a_status_of_former_times_acknowledges_nothing() {
    let yard = Yard::new();
    let job = yard.job();
    yard.write(ONE, &content_of(ONE, 1));
    yard.push_by_spool(&job, ONE).0.unwrap();
    // The archive is gone, the cluster is made anew, and the same name comes again.
    for key in [1, 2] {
        std::fs::rename(yard.path(&format!("repo{key}/archive/main/15-2")), yard.path(&format!("old{key}")))
            .unwrap();
    }
    yard.write(ONE, &content_of(ONE, 2));
    let (pushed, launched) = yard.push_by_spool(&job, ONE);
    pushed.unwrap();
    assert_eq!(launched, 1);
    assert!(yard.archived(1, ONE).unwrap() == content_of(ONE, 2));
    // What pgBackRest says it archived is believed once the repositories show it.
    yard.write(TWO, &content_of(TWO, 1));
    yard.push(&job, TWO).unwrap();
    let ok = yard.spool().folder().join(format!("{TWO}.ok"));
    std::fs::write(&ok, "").unwrap();
    let (pushed, launched) = yard.push_by_spool(&job, TWO);
    assert!(pushed.unwrap().line.contains("found in every repository") && launched == 0);
    // Just one repository without it, and it is not.
    Posix::new(yard.path("repo2"), "repo2")
        .remove_folder(&StorePath::new("archive/main/15-2").unwrap())
        .unwrap();
    assert_eq!(yard.push_by_spool(&job, TWO).1, 1);
    assert!(yard.archived(2, TWO).is_some());
    // A repository that does not answer is no proof of anything.
    std::fs::write(&ok, "").unwrap();
    let mut deaf = yard.job();
    deaf.repositories[0].repository = Err(Report::failed("it does not answer"));
    let error = yard.push_by_spool(&deaf, TWO).0.unwrap_err();
    assert!(error.to_string().contains("does not answer") && ok.exists(), "{error}");
}

#[test]
fn an_error_is_told_to_whoever_waits_and_the_next_call_tries_again() {
    let yard = Yard::new();
    let mut job = yard.job();
    job.repositories[1].repository = Ok(yard.broken(2));
    for name in [ONE, TWO, THREE] {
        yard.write(name, &content_of(name, 1));
    }
    for _ in 0..2 {
        let (pushed, launched) = yard.push_by_spool(&job, ONE);
        let error = pushed.unwrap_err();
        assert!(
            matches!(&error, PushError::Told { code: 104, message } if message.contains("repo2")),
            "{error}"
        );
        assert_eq!(launched, 1);
        let error = std::fs::read_to_string(yard.spool().folder().join(format!("{ONE}.error"))).unwrap();
        assert!(error.starts_with("104\nrepo2: cannot "), "{error}");
        assert!(yard.archived(1, THREE).is_none(), "it goes on after an error");
        assert_eq!(
            std::fs::read_dir(yard.spool().folder())
                .unwrap()
                .filter(|entry| { entry.as_ref().unwrap().path().extension().unwrap() == "ok" })
                .count(),
            0
        );
    }
    // An operator wants it skipped.
    let at = |kind: &str| yard.spool().folder().join(format!("{ONE}.{kind}"));
    std::fs::rename(at("error"), at("ok")).unwrap();
    let skipped = yard.push_by_spool(&job, ONE).0.unwrap();
    assert!(skipped.warnings[0].contains("skipped because"), "{skipped:?}");
    assert_eq!(dropped::read(&yard.path("state/main.dropped")).unwrap().len(), 1);
    yard.done(ONE);
    let (pushed, launched) = yard.push_by_spool(&yard.job(), TWO);
    pushed.unwrap();
    assert_eq!((launched, yard.archived(2, TWO).is_some()), (1, true));
    let control = yard.path("pg/global/pg_control");
    std::fs::write(&control, [0; 8192]).unwrap();
    assert!(yard.attend(&yard.job()).is_err());
    let told = std::fs::read_to_string(yard.spool().folder().join("global.error")).unwrap();
    assert!(told.starts_with("42\n"), "{told}");
}

#[test]
fn a_process_that_dies_is_replaced_and_a_file_that_is_not_waiting_is_pushed_at_once() {
    let yard = Yard::new();
    let job = yard.job();
    yard.write(ONE, &content_of(ONE, 1));
    let launched = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let launch = || {
            // The first one is killed before it takes its lock.
            if launched.fetch_add(1, Ordering::AcqRel) > 0 {
                scope.spawn(|| yard.attend(&job));
            }
            Ok(())
        };
        push_by_spool(&job, &yard.wal(ONE), &yard.path("spool"), Duration::from_secs(20), &launch).unwrap();
        std::fs::write(yard.wal(TWO), content_of(TWO, 1)).unwrap();
        push_by_spool(&job, &yard.wal(TWO), &yard.path("spool"), Duration::from_secs(20), &launch).unwrap();
    });
    assert_eq!(launched.into_inner(), 2);
    assert!(yard.archived(2, ONE).is_some() && yard.archived(2, TWO).is_some());
    yard.write(THREE, &content_of(THREE, 1));
    let never =
        push_by_spool(&job, &yard.wal(THREE), &yard.path("spool"), Duration::from_millis(50), &|| Ok(()));
    assert!(matches!(never, Err(PushError::Timeout { attended: false, .. })), "{never:?}");
    let refused = push_by_spool(&job, &yard.wal(THREE), &yard.path("spool"), Duration::from_secs(9), &|| {
        Err(io::Error::other("no memory"))
    });
    assert!(matches!(refused, Err(PushError::Launch { .. })), "{refused:?}");
}
