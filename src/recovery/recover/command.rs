//! A recovery as a command line: the words that ask for exactly this, and nothing that is secret.
//!
//! The command line is what is confirmed, written into `spec.json` and parsed again by the worker. Pure.

use crate::base::state::OpId;
use crate::base::{Lsn, Report, Result, TargetTime, Timestamp, shell};
use crate::config::{CliOption, options};
use crate::model::op::Spec;
use crate::model::plan::{RecoverPlan, RecoverRequest};
use crate::model::target::Target;
use std::path::Path;

/// The name of the command.
pub const NAME: &str = "recover";

/// Options that stand in the request, or only say how this one call shows its result.
const NOT_HANDED_ON: [&str; 8] =
    ["stanza", "type", "target", "target-exclusive", "target-timeline", "set", "output", "dry-run"];

/// The command's words without the program: its name, the given options that lead to the same configuration, and
/// the request. An option that is secret is refused; what stands here is seen by everyone.
pub fn arguments(given: &[CliOption], request: &RecoverRequest) -> Result<Vec<String>> {
    let mut words = vec![NAME.to_owned()];
    words.extend(handed_on(given, &NOT_HANDED_ON)?);
    let RecoverRequest { stanza, kind, targets, exclusive, timeline, set, asks, no_first_backup } = request;
    words.push(word("stanza", Some(stanza)));
    words.push(word("type", Some(kind)));
    for (number, target) in targets.iter().enumerate().filter(|_| takes_target(kind)) {
        words.push(word(if number == 0 { "target" } else { "or-target" }, Some(target)));
    }
    words.extend(exclusive.then(|| word("target-exclusive", None)));
    words.extend(timeline.map(|timeline| word("target-timeline", Some(&timeline.to_string()))));
    words.extend(set.as_ref().map(|set| word("set", Some(set))));
    words.extend(asks.then(|| word("ask", None)));
    words.extend(no_first_backup.then(|| word("no-first-backup", None)));
    Ok(words)
}

/// The given options that lead to the same configuration, without those that are named. An option that is secret is
/// refused; what stands on a command line is seen by everyone.
pub fn handed_on(given: &[CliOption], without: &[&str]) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for option in given {
        // As on the command line itself, the beginning of a name is enough.
        let known = options::find(&option.name, true).ok().map(|found| found.def);
        let Some(def) = known.filter(|def| !def.secret) else {
            return Err(Report::usage(format!("--{} does not belong on a command line", option.name))
                .hint("set it in the configuration file"));
        };
        if !without.contains(&def.name) {
            words.push(word(&option.name, option.value.as_deref()));
        }
    }
    Ok(words)
}

/// The command for a shell.
pub fn shown(arguments: &[String]) -> String {
    shell::line(["pgmayday"].into_iter().chain(arguments.iter().map(String::as_str)))
}

/// What an operation is to do, from a plan that was shown and confirmed.
pub fn spec(
    id: OpId,
    plan: &RecoverPlan,
    given: &[CliOption],
    working_dir: &Path,
    environment: Vec<String>,
    by: &str,
) -> Result<Spec> {
    let request = &plan.request;
    Ok(Spec {
        schema: Spec::SCHEMA.to_owned(),
        id,
        stanza: request.stanza.clone(),
        summary: plan.summary(),
        arguments: arguments(given, request)?,
        working_dir: working_dir.to_owned(),
        environment,
        by: by.to_owned(),
        plan: Some(plan.digest.clone()),
        incident: None,
        asks: request.asks,
        forecast: plan.forecast.clone(),
    })
}

/// Options of the call that say where the cluster is, for a call of another command: `--pgN-path=…`.
pub(super) fn places(given: &[CliOption]) -> impl Iterator<Item = String> {
    let is_place = |option: &&CliOption| {
        options::find(&option.name, true).is_ok_and(|found| found.def.name == "pg-path")
    };
    given.iter().filter(is_place).map(|option| word(&option.name, option.value.as_deref()))
}

fn word(name: &str, value: Option<&str>) -> String {
    value.map_or_else(|| format!("--{name}"), |value| format!("--{name}={value}"))
}

/// True for the kinds of target that have a value.
pub fn takes_target(kind: &str) -> bool {
    !matches!(kind, "default" | "immediate")
}

/// The targets a request means, the best first.
pub fn targets(request: &RecoverRequest, now: Timestamp) -> Result<Vec<Target>> {
    let RecoverRequest { kind, targets, exclusive, .. } = request;
    let usage = |error: &dyn std::fmt::Display| Report::usage(error.to_string());
    if !takes_target(kind) {
        if *exclusive {
            return Err(Report::usage(format!("--target-exclusive has no meaning for --type={kind}"))
                .hint("it goes with --type=time, lsn or xid"));
        }
        if !targets.is_empty() {
            return Err(Report::usage(format!("--target has no meaning for --type={kind}"))
                .hint("choose --type=time, lsn, xid or name"));
        }
        return Ok(vec![if kind == "immediate" { Target::Immediate } else { Target::End }]);
    }
    if targets.is_empty() {
        return Err(Report::usage(format!("--type={kind} needs --target"))
            .hint("for example --type=time --target='2026-11-21 02:03:11.482+00'"));
    }
    let parsed = targets.iter().map(|text| {
        Ok(match kind.as_str() {
            "time" => {
                let time = TargetTime::parse(text).map_err(|e| usage(&e))?;
                if time.at > now {
                    return Err(Report::usage(format!("{} lies in the future", time.at)));
                }
                Target::Time(time)
            }
            "lsn" => Target::Lsn(text.parse::<Lsn>().map_err(|e| usage(&e))?),
            "xid" => Target::Xid(text.parse().map_err(|e| usage(&e))?),
            "name" => Target::Name(text.clone()),
            other => {
                return Err(Report::usage(format!("--type={other} is no type of recovery in place"))
                    .hint("it is one of time, name, lsn, xid, immediate, default"));
            }
        })
    });
    let parsed: Vec<Target> = parsed.collect::<Result<_>>()?;
    falling(&parsed)?;
    Ok(parsed)
}

/// Each target must be earlier than the one before, or trying it is of no use.
fn falling(targets: &[Target]) -> Result<()> {
    let later = targets.windows(2).find(|pair| match (&pair[0], &pair[1]) {
        (Target::Time(a), Target::Time(b)) => b.at >= a.at,
        (Target::Lsn(a), Target::Lsn(b)) => b >= a,
        (a, b) => a == b,
    });
    later.map_or(Ok(()), |pair| {
        Err(Report::usage(format!("{} is not earlier than {}", pair[1], pair[0])).hint(
            "each --or-target is tried if the damage is found in the one before it, so it must be earlier",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, targets: &[&str]) -> RecoverRequest {
        RecoverRequest {
            stanza: "main".to_owned(),
            kind: kind.to_owned(),
            targets: targets.iter().map(|&text| text.to_owned()).collect(),
            exclusive: false,
            timeline: None,
            set: None,
            asks: false,
            no_first_backup: false,
        }
    }

    const NOW: Timestamp = Timestamp(1_795_225_447_000_000);

    #[test]
    fn the_words_say_everything_and_no_secret() {
        let option = |name: &str, value: Option<&str>| CliOption {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        let given = [
            option("config", Some("/etc/x y.conf")),
            option("stanza", Some("main")),
            option("type", Some("time")),
            option("outp", Some("text")),
            option("output", Some("json")),
            option("dry-run", None),
            option("repo1-path", Some("/r")),
        ];
        let mut asked = request("time", &["2026-11-21 01:00:00+00", "2026-11-21 00:59:00+00"]);
        (asked.exclusive, asked.timeline, asked.asks) = (true, Some(3), true);
        asked.no_first_backup = true;
        asked.set = Some("20261121-010559F".to_owned());
        let words = arguments(&given, &asked).unwrap();
        let wanted = [
            "recover",
            "--config=/etc/x y.conf",
            "--repo1-path=/r",
            "--stanza=main",
            "--type=time",
            "--target=2026-11-21 01:00:00+00",
            "--or-target=2026-11-21 00:59:00+00",
            "--target-exclusive",
            "--target-timeline=3",
            "--set=20261121-010559F",
            "--ask",
            "--no-first-backup",
        ];
        assert_eq!(words, wanted);
        assert!(shown(&words).starts_with("pgmayday recover '--config=/etc/x y.conf' "));
        let secret = arguments(&[option("repo1-cipher-pass", Some("hush"))], &asked).unwrap_err();
        assert!(!secret.to_string().contains("hush"), "{secret}");
    }

    #[test]
    fn targets_are_of_their_kind_and_fall() {
        let kinds = [("lsn", "0/5A000148"), ("xid", "48211"), ("name", "pre"), ("time", "2026-11-21 01:00Z")];
        for (kind, text) in kinds {
            let asked = targets(&request(kind, &[text]), NOW);
            assert_eq!(asked.is_ok(), kind != "time" || text.len() > 16, "{kind}: {asked:?}");
        }
        assert_eq!(targets(&request("default", &[]), NOW).unwrap(), [Target::End]);
        assert_eq!(targets(&request("immediate", &[]), NOW).unwrap(), [Target::Immediate]);
        let wrong = [
            ("time", vec![]),
            ("time", vec!["yesterday"]),
            ("time", vec!["2036-11-21 01:00:00+00"]),
            ("time", vec!["2026-11-21 00:00:00+00", "2026-11-21 00:00:01+00"]),
            ("lsn", vec!["0/1", "0/1"]),
            ("immediate", vec!["0/1"]),
            ("standby", vec!["x"]),
        ];
        for (kind, texts) in wrong {
            assert!(targets(&request(kind, &texts), NOW).is_err(), "{kind} {texts:?}");
        }
        let exclusive = RecoverRequest { exclusive: true, ..request("default", &[]) };
        assert!(targets(&exclusive, NOW).is_err());
    }
}
