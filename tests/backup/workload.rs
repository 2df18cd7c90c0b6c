//! Rows that keep changing, and what they come to.

use crate::peer::psql;
use crate::yard::Yard;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Tables of several sizes, one of them large enough for blocks.
pub(crate) fn fill(yard: &Yard) {
    yard.ask("create table big as select g id, md5(g::text) x, 0 n from generate_series(1, 20000) g");
    yard.ask("create index on big (id)");
    yard.ask("create table ledger (id serial primary key, note text)");
    yard.ask("create unlogged table scratch as select 1 a");
    yard.ask("create database second");
}

/// Changes a part of everything, and makes it reach the files.
pub(crate) fn change(yard: &Yard, round: u32) {
    yard.ask(&format!("update big set n = {round}, x = md5(x) where id % 97 = {}", round % 97));
    yard.ask(&format!(
        "insert into ledger (note) select 'round {round} ' || g from generate_series(1, 50) g"
    ));
    yard.ask(&format!("create table round_{round} as select {round} r"));
    if round > 1 {
        yard.ask(&format!("drop table if exists round_{}", round - 1));
    }
    yard.ask("checkpoint");
}

/// What all rows come to, of the cluster in `pg`.
pub(crate) const SUM: &str = "select (select count(*) || ' ' || coalesce(sum(hashtextextended(b::text, 7)), 0) from big b) || ' ' || \
     (select count(*) || ' ' || coalesce(sum(hashtextextended(l::text, 7)), 0) from ledger l)";

/// Statements that are repeated in the background, one session each.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts writing to a table of its own, some megabytes of log a second.
    pub(crate) fn start(yard: &Yard) -> Self {
        Self::pausing(yard, Duration::from_millis(10))
    }

    /// The same, with this pause between: a small segment takes some tenths of a second to fetch and decompress, and all
    /// of them are replayed.
    pub(crate) fn pausing(yard: &Yard, pause: Duration) -> Self {
        yard.ask("create table if not exists noise (id serial primary key, x text)");
        let sql = "insert into noise (x) select repeat(md5(random()::text), 30) from generate_series(1, 40);\n\
                   update noise set x = md5(x) where id % 7 = 3 and id > (select max(id) from noise) - 4000;\n";
        Self::repeating(yard, sql, pause)
    }

    /// Repeats these statements, with a pause between. What fails is tried again like everything else.
    pub(crate) fn repeating(yard: &Yard, sql: &str, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (until, text) = (Arc::clone(&stop), format!("{sql}\n\\echo .\n"));
        let mut child =
            psql(yard).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let thread = std::thread::spawn(move || {
            let mut input = child.stdin.take().unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            while !until.load(Ordering::Relaxed) && input.write_all(text.as_bytes()).is_ok() {
                // Only when all of it was done comes the next.
                line.clear();
                while output.read_line(&mut line).is_ok_and(|got| got > 0) && !line.ends_with(".\n") {}
                std::thread::sleep(pause);
            }
            drop(input);
            child.wait().unwrap();
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
