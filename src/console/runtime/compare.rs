//! The ways out, weighed on a thread of its own: two plans and a look at the servers at the same time.
//!
//! Writes nothing; what hangs is unknown when its time is up.

use super::tools::Tools;
use crate::base::Timestamp;
use crate::model::op::Cancel;
use crate::model::options::{Ground, Options};
use crate::model::plan::RecoverRequest;
use crate::survey::{Scope, Survey};
use std::time::Duration;

/// The longest look at the servers.
const LIMIT: Duration = Duration::from_secs(10);

/// Weighs the ways out for a target.
pub(super) fn ways(tools: &Tools, survey: &Survey, request: &RecoverRequest) -> Options {
    let plan = |request: &RecoverRequest| (tools.setup.planner)(request, &Cancel::default());
    let other = request.to_latest();
    let (plan, latest, situation) = std::thread::scope(|scope| {
        let latest = other.as_ref().map(|latest| scope.spawn(|| plan(latest)));
        let scope_of = Scope { incident: true, ..Scope::default() };
        let situation = scope.spawn(move || survey.situation(scope_of, LIMIT, &|_| (), &|| !tools.stopped()));
        let own = plan(request);
        (own, latest.map(joined), joined(situation))
    });
    Options::weigh(&Ground {
        request,
        plan: plan.as_ref(),
        latest: latest.as_ref().map(Result::as_ref),
        situation: &situation,
        now: Timestamp::now(),
    })
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
