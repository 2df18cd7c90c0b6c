//! `pgmayday attach`: returns to an operation that goes on without a terminal; answers, cancels and resumes it.
//!
//! Never prompts. Leaving it changes nothing.

use super::command::{CommandSpec, Run};
use super::output::{self, Output};
use super::{Call, follow, operation, site};
use crate::base::state::OpId;
use crate::base::{Report, Result};
use crate::config::{EVERY_COMMAND, Origin};
use crate::model::op::{Answer, Life, Snapshot};
use crate::recovery::supervisor::Supervisor;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};

pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "attach",
    about: "Follow an operation that runs without a terminal",
    long_about: "Follows the operation ID, or the only one that runs, until it ends, and ends with its exit code; \
                 Ctrl-C leaves it running. Without ID, if several run or none does, it lists the operations. \
                 `attach ID --resume` starts an operation again whose worker is gone, that failed or that was \
                 cancelled: what is done already is not done twice.",
    options_of: EVERY_COMMAND,
    reads_configuration: true,
    own,
    run: Run::Coded(run),
    failure_exit: None,
};

fn own(command: Command) -> Command {
    command
        .arg(Arg::new("id").value_name("ID").help("the operation"))
        .arg(
            Arg::new("answer")
                .long("answer")
                .value_name("ANSWER")
                .value_parser(PossibleValuesParser::new(["right", "damaged"]))
                .conflicts_with("cancel")
                .help("answer the question it asks: the data is right, or the damage is still in it"),
        )
        .arg(
            Arg::new("cancel")
                .long("cancel")
                .action(ArgAction::SetTrue)
                .help("ask it to stop at the next safe point; it can be resumed"),
        )
}

/// What is to be done with the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Follow,
    Answer(Answer),
    Cancel,
    Resume,
}

impl Wish {
    fn of(call: &Call) -> Result<Self> {
        // pgBackRest has an option of this name, so it arrives among the settings.
        let resume = call.settings.origin("resume") == Origin::CommandLine && call.settings.flag("resume");
        let answer = call.args.get_one::<String>("answer").map(|word| match word.as_str() {
            "right" => Answer::Right,
            _ => Answer::Damaged,
        });
        match (answer, call.args.get_flag("cancel"), resume) {
            (None, false, false) => Ok(Self::Follow),
            (Some(answer), false, false) => Ok(Self::Answer(answer)),
            (None, true, false) => Ok(Self::Cancel),
            (None, false, true) => Ok(Self::Resume),
            _ => Err(Report::usage("--resume goes with neither --answer nor --cancel")),
        }
    }

    /// True if an operation in this state is one that may be meant without being named.
    fn fits(self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Resume => snapshot.life == Life::Lost,
            Self::Answer(_) => snapshot.state.question.is_some(),
            Self::Follow | Self::Cancel => {
                matches!(snapshot.life, Life::Starting | Life::Running { .. })
            }
        }
    }
}

fn run(call: &Call) -> Result<u8> {
    let wish = Wish::of(call)?;
    let (supervisor, _) = operation::supervisor(call)?;
    let named: Option<OpId> = call.positional.first().map(|word| word.parse()).transpose()?;
    let Some(id) = named.map_or_else(|| only_one(&supervisor, wish), |id| Ok(Some(id)))? else {
        return follow::list(call, &supervisor).map(|()| 0);
    };
    match wish {
        Wish::Follow => follow::follow(call, &supervisor, &id),
        Wish::Resume => follow::resume(call, &supervisor, &id),
        Wish::Answer(answer) => {
            supervisor.answer(&id, answer, &site::actor())?;
            told(call, &id, "the answer is given")
        }
        Wish::Cancel => {
            supervisor.cancel(&id)?;
            told(call, &id, "it was asked to stop; it ends at the next safe point and can be resumed")
        }
    }
}

/// The only operation that can be meant; nothing if a list is what helps.
fn only_one(supervisor: &Supervisor, wish: Wish) -> Result<Option<OpId>> {
    let (all, _) = supervisor.list()?;
    let fitting: Vec<&Snapshot> = all.iter().filter(|snapshot| wish.fits(snapshot)).collect();
    match (&fitting[..], &all[..], wish) {
        ([one], ..) => Ok(Some(one.spec.id.clone())),
        ([], [one], Wish::Follow) => Ok(Some(one.spec.id.clone())),
        (_, _, Wish::Follow) => Ok(None),
        ([], ..) => Err(Report::usage("there is no such operation").hint("`pgmayday attach` lists them")),
        _ => {
            Err(Report::usage("several operations can be meant")
                .hint("name one; `pgmayday attach` lists them"))
        }
    }
}

fn told(call: &Call, id: &OpId, what: &str) -> Result<u8> {
    match call.output {
        Output::Text => output::text(&format!("{id}: {what}")),
        Output::Json => output::json("operation-asked", &operation::Started { operation: id }),
    }
    .map(|()| 0)
}
