//! Following what changes by itself: the board, the open incident, an operation. Reads only.

use super::tools::Tools;
use crate::base::state::OpId;
use crate::base::{Report, Result, Timestamp};
use crate::console::input::Input;
use crate::model::board::{Board, OpenIncident};
use crate::model::op::{Life, Mark};
use std::sync::Mutex;
use std::time::Duration;

/// How often an operation is looked at.
const OPERATION: Duration = Duration::from_millis(100);
/// How often one that nobody works on, and an incident.
const SLOW: Duration = Duration::from_secs(1);

/// The board as the probes see it, with the open incident.
pub(super) struct Boards {
    tools: Tools,
    now: Mutex<(Board, Option<OpenIncident>)>,
}

impl Boards {
    pub(super) fn new(tools: Tools, blank: Board) -> Self {
        Self { tools, now: Mutex::new((blank, None)) }
    }

    /// Since when the application's check is wrong, if it is.
    pub(super) fn wrong_since(&self) -> Option<Timestamp> {
        self.now.lock().ok()?.0.application.as_ref()?.value()?.wrong_since
    }

    /// The incident that is open, as it was last looked for.
    pub(super) fn open_incident(&self) -> Option<String> {
        self.now.lock().ok()?.1.as_ref().map(|open| open.id.clone())
    }

    /// The probes saw something.
    pub(super) fn seen(&self, board: Board) {
        self.change(|now| now.0 = board);
    }

    /// Looks for an open incident again and again.
    pub(super) fn look_for_incidents(&self, go_on: &dyn Fn() -> bool) {
        while go_on() {
            self.refresh_incident();
            std::thread::sleep(SLOW);
        }
    }

    /// Looks for an open incident now. One that cannot be read is told by whoever reads it; here it stays as it was.
    pub(super) fn refresh_incident(&self) {
        let stanza = self.tools.stanza();
        let open = stanza.and_then(|stanza| self.tools.incidents()?.open_one(&stanza));
        if let Ok(open) = open {
            self.change(|now| {
                now.1 = open.map(|view| OpenIncident {
                    service_back_at: view.marks.get(&Mark::ServiceBack).copied(),
                    id: view.id,
                    reason: view.reason,
                    detected_at: view.detected_at,
                    declared_at: view.declared_at,
                });
            });
        }
    }

    fn change(&self, change: impl FnOnce(&mut (Board, Option<OpenIncident>))) {
        let Ok(mut now) = self.now.lock() else { return };
        let before = now.clone();
        change(&mut now);
        if *now != before {
            let mut board = now.0.clone();
            board.incident = now.1.clone().or(board.incident);
            self.tools.tell(Input::Board(Box::new(board)));
        }
    }
}

/// All incidents, newest first.
pub(super) fn incidents(tools: &Tools) {
    match tools.incidents().and_then(|incidents| incidents.list()) {
        Ok((views, troubles)) => {
            tools.tell(Input::Incidents(views));
            for trouble in troubles {
                tools.tell(Input::Said(Err(Report::damaged(trouble))));
            }
        }
        Err(report) => tools.tell(Input::Said(Err(report))),
    }
}

/// An incident's journal, whenever it grew.
pub(super) fn incident(tools: &Tools, id: &str, current: impl Fn() -> bool) {
    let look = || tools.incidents()?.view(id);
    follow(tools, current, look, |view| (Input::Incident(Box::new(view)), SLOW));
}

/// An operation, whenever it moved.
pub(super) fn operation(tools: &Tools, id: &OpId, current: impl Fn() -> bool) {
    let mut follower = match tools.supervisor().and_then(|supervisor| supervisor.follow(id)) {
        Ok(follower) => follower,
        Err(report) => return tools.tell(Input::Said(Err(report))),
    };
    let look = move || follower.poll();
    follow(tools, current, look, |snapshot| {
        let live = matches!(snapshot.life, Life::Starting | Life::Running { .. });
        (Input::Operation(Box::new(snapshot)), if live { OPERATION } else { SLOW })
    });
}

/// Looks until nobody wants it any more; tells what is new, and a failure once.
fn follow<T: Clone + PartialEq>(
    tools: &Tools,
    current: impl Fn() -> bool,
    mut look: impl FnMut() -> Result<T>,
    told: impl Fn(T) -> (Input, Duration),
) {
    let mut last: Option<Result<T>> = None;
    let mut pause = SLOW;
    while current() && !tools.stopped() {
        let now = look();
        if last.as_ref() != Some(&now) {
            match now.clone() {
                Ok(value) => {
                    let (input, wait) = told(value);
                    pause = wait;
                    tools.tell(input);
                }
                Err(report) => {
                    pause = SLOW;
                    tools.tell(Input::Said(Err(report)));
                }
            }
            last = Some(now);
        }
        std::thread::sleep(pause);
    }
}
