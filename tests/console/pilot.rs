//! Who tries commits while an incident is open: the console in the pilot's seat, and no other.

use crate::cluster::{Cluster, run, wait_for};
use crate::harness::Screen;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const SIZE: (u16, u16) = (120, 40);

/// The program on this cluster's configuration, as the owner of the cluster.
pub(crate) fn console(cluster: &Cluster, config: &Path, stanza: &str) -> Screen {
    let command = cluster.command(cluster.program());
    let mut words: Vec<String> = command.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
    words.extend([format!("--config={}", config.display()), format!("--stanza={stanza}")]);
    let state = cluster.path("state");
    let program = Path::new(command.get_program());
    let path = std::env::var("PATH").unwrap();
    let program =
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|it| it.exists()).unwrap();
    Screen::spawn(SIZE, &program, words, &[("PGMAYDAY_STATE", state.to_str().unwrap())])
}

/// Opens the runbook of the open incident.
pub(crate) fn open_runbook(screen: &mut Screen) {
    // Its key is there as soon as the incident was seen.
    screen.wait("R runbook");
    screen.send("R");
    screen.wait("The first minute");
}

/// How many statements of the server's log begin so.
fn statements(cluster: &Cluster, begin: &str) -> usize {
    cluster.log().lines().filter(|line| line.contains(&format!("statement: {begin}"))).count()
}

/// How many commits each process has tried.
fn tried(cluster: &Cluster) -> BTreeMap<i32, usize> {
    let mut tried = BTreeMap::new();
    for line in
        cluster.log().lines().filter(|line| line.contains("statement: select pg_logical_emit_message(true"))
    {
        // The statement bears the process that sent it: `/* pgmayday-PID-N */`.
        let token = line.split("/* pgmayday-").nth(1).unwrap();
        *tried.entry(token.split('-').next().unwrap().parse().unwrap()).or_default() += 1;
    }
    tried
}

#[test]
fn only_the_pilot_tries_commits() {
    let Some(cluster) = Cluster::make("") else { return };
    cluster.ask("alter system set log_statement = 'all'");
    cluster.ask("select pg_reload_conf()");
    run(&mut cluster.ours(&["incident", "declare", "--reason=a test"]));
    let mut first = console(&cluster, &cluster.config(), crate::cluster::STANZA);
    let mut second = console(&cluster, &cluster.config(), crate::cluster::STANZA);
    let [first_pid, second_pid] = [&first, &second].map(|screen| screen.pid().as_raw_nonzero().get());
    open_runbook(&mut first);
    open_runbook(&mut second);
    let closely = "select pg_is_in_recovery(), current_setting('is_superuser')";
    wait_for("both look closely, again and again", || statements(&cluster, closely) >= 6);
    assert_eq!(tried(&cluster), BTreeMap::new(), "nobody has the seat");

    first.send("\r");
    wait_for("the pilot tries commits", || tried(&cluster).get(&first_pid).is_some_and(|count| *count >= 2));
    assert_eq!(tried(&cluster).keys().copied().collect::<Vec<_>>(), [first_pid], "a watcher tried one");

    // The seat is free as soon as its console is left: whoever takes the next step has it.
    first.send("\u{3}");
    assert!(first.ended().success());
    let before = tried(&cluster)[&first_pid];
    second.wait("tick");
    second.send(" ");
    wait_for("the next pilot tries commits", || tried(&cluster).contains_key(&second_pid));
    assert_eq!(tried(&cluster)[&first_pid], before);

    // With the incident the trying ends.
    run(&mut cluster.ours(&["incident", "close", "over", "--accept=incident-open-matters"]));
    second.send(":board\r");
    second.wait_for("no incident", |screen| {
        screen.contents().contains("PROTECTION") && !screen.contents().contains("R runbook")
    });
    let before = tried(&cluster);
    std::thread::sleep(Duration::from_secs(17));
    assert_eq!(tried(&cluster), before, "a commit was tried after the incident");
    second.send("\u{3}");
    assert!(second.ended().success());
}
