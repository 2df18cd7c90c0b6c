//! `incident report`, `verify`, `sign`, `export`: the evidence, for the post-mortem and the auditor.
//!
//! Reads journals; writes a signature, or a folder that is new.

use super::{Desk, id, plain, text};
use crate::base::{Kind, Report, Result};
use crate::cli::output::{self, Output};
use crate::incident::report::{Document, html, markdown};
use crate::incident::sign::{RECIPE, Signed};
use crate::journal::{Verification, Witness};
use clap::{Arg, Command};
use serde::Serialize;
use std::path::Path;

/// Adds the subcommands.
pub(super) fn own(command: Command) -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let part = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let format =
        option("format", "FORM", "markdown, html or json [default: markdown, json with --output=json]");
    command
        .subcommand(
            part("report", "the evidence, for the post-mortem and the auditor")
                .arg(id())
                .arg(format.value_parser(["markdown", "html", "json"])),
        )
        .subcommand(
            part("verify", "prove that the journal is as it was written")
                .arg(id())
                .arg(option("witness", "SEQ:HASH", "the end of the chain as it was written down elsewhere"))
                .arg(option("public-key", "FILE", "the public key, in PEM, its signatures are to be of")),
        )
        .subcommand(
            part("sign", "put a key of yours under the end of the chain")
                .arg(id())
                .arg(option("key", "FILE", "an Ed25519 private key in PKCS #8 PEM").required(true)),
        )
        .subcommand(
            part("export", "journals and reports of incidents in a new folder, with the sums of all files")
                .arg(Arg::new("folder").value_name("FOLDER").required(true).help("the folder, which is made"))
                .arg(
                    Arg::new("ids")
                        .value_name("INCIDENT")
                        .num_args(0..)
                        .help("which [default: all, or all of --stanza]"),
                ),
        )
}

impl Desk<'_> {
    /// Runs what belongs here, with its exit code; nothing if the verb does not.
    pub(super) fn evidence(&self, verb: &str) -> Option<Result<u8>> {
        Some(match verb {
            "report" => self.report().map(|()| 0),
            "verify" => self.verify(),
            "sign" => self.sign().map(|()| 0),
            "export" => self.export().map(|()| 0),
            _ => return None,
        })
    }

    fn report(&self) -> Result<()> {
        let evidence = self.incidents.evidence(&self.chosen()?)?;
        let format = self.args.get_one::<String>("format").map(String::as_str);
        match (format, self.call.output) {
            (Some("json"), _) | (None, Output::Json) => output::json("incident", &Document::new(&evidence)),
            (Some("html"), _) => output::text(&html(&evidence)),
            _ => output::text(&markdown(&evidence)),
        }
    }

    /// Damage is the result, not a failure: everything that was found is told, and the exit code says so.
    fn verify(&self) -> Result<u8> {
        let witness: Option<Witness> =
            self.args.get_one::<String>("witness").map(|text| text.parse()).transpose()?;
        let id = self.chosen()?;
        let verification = self.incidents.verify(&id, witness.as_ref())?;
        let known = self.args.get_one::<String>("public-key").map(Path::new);
        let signatures = self.incidents.signatures(&id, known)?;
        if signatures.is_empty() && known.is_some() {
            return Err(Report::damaged(format!("incident {id} has no signature")));
        }
        match self.call.output {
            Output::Text => output::text(&text::verification(&id, &verification, &signatures))?,
            Output::Json => {
                let sentence = verification.sentence();
                let signatures = &signatures;
                let body = Verified { id: &id, sentence, signatures, verification: &verification };
                output::json("incident-verification", &body)?;
            }
        }
        let ok = verification.ok && signatures.iter().all(|signed| signed.ok);
        Ok(if ok { 0 } else { Kind::Damaged.exit_code() })
    }

    fn sign(&self) -> Result<()> {
        let (id, key) = (self.chosen()?, plain(self.args, "key")?);
        let signed = self.incidents.sign(&id, Path::new(&key))?;
        let said = format!(
            "incident {id} is signed up to entry {}; with stock tools, in its folder:\n  {}",
            signed.seq,
            RECIPE.replace("N.", &format!("{}.", signed.seq))
        );
        match self.call.output {
            Output::Text => output::text(&said),
            Output::Json => output::json("incident-signature", &signed),
        }
    }

    fn export(&self) -> Result<()> {
        let named: Vec<String> = self.args.get_many("ids").into_iter().flatten().cloned().collect();
        let ids = if named.is_empty() {
            self.known()?.0.into_iter().map(|view| view.id).rev().collect()
        } else {
            named
        };
        if ids.is_empty() {
            return Err(Report::usage("there is no incident to export"));
        }
        let folder = plain(self.args, "folder")?;
        let exported = self.incidents.export(&ids, Path::new(&folder))?;
        for id in &exported.damaged {
            self.call
                .console
                .warn(&format!("the journal of incident {id} is damaged; it is exported as it stands"));
        }
        match self.call.output {
            Output::Text => output::text(&text::exported(&exported)),
            Output::Json => output::json("incident-export", &exported),
        }
    }
}

#[derive(Serialize)]
struct Verified<'a> {
    id: &'a str,
    sentence: String,
    signatures: &'a [Signed],
    #[serde(flatten)]
    verification: &'a Verification,
}
