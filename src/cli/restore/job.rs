//! A restore as a worker does it: the same request, plan and execution as on the command line.

use super::{plan, request, show};
use crate::base::Result;
use crate::base::state::StateDir;
use crate::cli::Call;
use crate::engine::restore::{self, Request};
use crate::model::op::Event;
use crate::recovery::worker::{Job, TargetLock, Tools};
use std::time::Instant;

/// The name of the step before the restore's own.
const PLAN: &str = "plan";

/// A restore to be done.
pub(in crate::cli) struct RestoreJob {
    call: Call,
    request: Request,
    state: StateDir,
}

impl RestoreJob {
    /// Reads the request out of the call; relative paths count from the folder this is called in.
    pub(in crate::cli) fn new(call: Call, state: StateDir) -> Result<Self> {
        let request = request::from_call(&call)?;
        Ok(Self { call, request, state })
    }
}

impl Job for RestoreJob {
    fn steps(&self) -> Vec<String> {
        [PLAN, "prepare the target", "copy", "write recovery settings", "make durable"]
            .map(str::to_owned)
            .to_vec()
    }

    fn run(&self, tools: &Tools<'_>) -> Result<Vec<String>> {
        let _lock = TargetLock::take(&self.state, &self.request.data_dir, &tools.spec.id)?;
        let warn = |text: &str| tools.sink.event(Event::Warning { text: text.to_owned() });
        tools.sink.event(Event::StepStarted { step: PLAN.to_owned() });
        let started = Instant::now();
        let plan = plan(&self.call, self.request.clone(), &warn, tools.cancel)?;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let detail = format!("backup {} from repo{}", plan.manifest.label, plan.repo_key);
        tools.sink.event(Event::StepDone { step: PLAN.to_owned(), took_ms, detail });
        plan.warnings.iter().for_each(|warning| warn(warning));
        let outcome = restore::execute(plan, tools.sink, tools.cancel)?;
        Ok(show::outcome(&outcome).lines().map(str::to_owned).collect())
    }
}
