//! Signatures: a person's key under the end of the chain, so that nobody with the folder alone can write another story.
//!
//! What is signed is the text `SEQ:HASH` and a line feed, kept beside its signature; the chain then proves every entry
//! up to there. Keys are Ed25519 in PEM, as `openssl genpkey -algorithm ed25519` makes them. The private key is read,
//! used and forgotten; it is never kept.
//!
//! To verify with stock tools, in the incident's folder: see [`RECIPE`].

use super::{Incidents, told};
use crate::base::files::atomic_replace;
use crate::base::state::{give_to_owner_of_folder, make_folder};
use crate::base::{Report, Result};
use crate::journal::{self, Witness, sha256};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::Serialize;
use std::io::{self, ErrorKind};
use std::path::Path;
use zeroize::Zeroizing;

/// The folder in that of the incident: `N.head`, `N.sig`, `N.pub` for a signature under entry N.
pub(super) const FOLDER: &str = "signatures";

/// How to verify a signature without this program. The public key must be the one you know.
pub const RECIPE: &str = "openssl pkeyutl -verify -pubin -inkey signatures/N.pub -rawin -in signatures/N.head -sigfile signatures/N.sig";

/// A signature and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// The entry it stands under.
    pub seq: u64,
    /// SHA-256 of the public key's PEM.
    pub key_sha256: String,
    /// True if key, signature and journal agree.
    pub ok: bool,
    /// What is wrong, or what was not looked at.
    pub what: String,
}

impl Incidents {
    /// Signs the end of an incident's journal with the private key in a PEM file. A damaged journal is not signed.
    pub fn sign(&self, id: &str, key: &Path) -> Result<Signed> {
        let folder = self.known(id)?;
        let verification = self.verify(id, None)?;
        if !verification.ok {
            return Err(Report::damaged(format!("incident {id}: {}", verification.sentence()))
                .hint("a damaged journal is not signed"));
        }
        let unusable = |why: &str| {
            Report::usage(format!("{} is no Ed25519 private key in PKCS #8 PEM: {why}", key.display()))
                .hint("`openssl genpkey -algorithm ed25519 -out KEY` makes one")
        };
        let pem = std::fs::read_to_string(key).map(Zeroizing::new);
        let pem = pem.map_err(|error| Report::usage(format!("cannot read {}: {error}", key.display())))?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| unusable("its form is another"))?;
        let public = key.verifying_key().to_public_key_pem(LineEnding::LF);
        let public = public.map_err(|_| unusable("it has no public half"))?;
        let text = format!("{}\n", verification.end);
        let signature = key.sign(text.as_bytes());
        let seq = verification.end.seq;
        let place = folder.join(FOLDER);
        let kept = make_folder(&place).and_then(|()| {
            let files =
                [("pub", public.as_bytes()), ("head", text.as_bytes()), ("sig", &signature.to_bytes()[..])];
            files.into_iter().try_for_each(|(name, bytes)| {
                let path = place.join(format!("{seq}.{name}"));
                atomic_replace(&path, bytes, 0o640)?;
                give_to_owner_of_folder(&path)
            })
        });
        kept.map_err(|error| Report::failed(format!("cannot write into {}: {error}", place.display())))?;
        Ok(Signed { seq, key_sha256: sha256(public.as_bytes()), ok: true, what: String::new() })
    }

    /// Every signature of an incident. `known` is the public key that is believed; without one a signature only shows
    /// that it was made with the key beside it.
    pub fn signatures(&self, id: &str, known: Option<&Path>) -> Result<Vec<Signed>> {
        let place = self.known(id)?.join(FOLDER);
        let unreadable =
            |error: io::Error| Report::failed(format!("cannot read {}: {error}", place.display()));
        let known = known.map(|path| {
            let pem = std::fs::read_to_string(path);
            pem.map_err(|error| Report::usage(format!("cannot read {}: {error}", path.display())))
        });
        let known = known.transpose()?;
        let entries = match std::fs::read_dir(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".head"));
            found.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        found.sort_unstable();
        found.into_iter().map(|seq| self.signature(id, &place, seq, known.as_deref())).collect()
    }

    /// The files of the signatures of an incident, by their names in its folder.
    pub(super) fn signature_files(&self, id: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let place = self.known(id)?.join(FOLDER);
        let mut files = Vec::new();
        for signed in self.signatures(id, None)? {
            for name in ["head", "sig", "pub"].map(|name| format!("{}.{name}", signed.seq)) {
                let path = place.join(&name);
                match std::fs::read(&path) {
                    Ok(bytes) => files.push((format!("{FOLDER}/{name}"), bytes)),
                    // What is missing is seen by whoever verifies it.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => {
                        return Err(Report::failed(format!("cannot read {}: {error}", path.display())));
                    }
                }
            }
        }
        Ok(files)
    }

    fn signature(&self, id: &str, place: &Path, seq: u64, known: Option<&str>) -> Result<Signed> {
        let file = |name: &str| std::fs::read(place.join(format!("{seq}.{name}")));
        let beside = file("pub").ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let pem = known.unwrap_or(&beside);
        let mut signed = Signed { seq, key_sha256: sha256(pem.as_bytes()), ok: false, what: String::new() };
        let (Ok(text), Ok(signature)) = (file("head"), file("sig")) else {
            "its files cannot be read".clone_into(&mut signed.what);
            return Ok(signed);
        };
        let (key, signature) = (VerifyingKey::from_public_key_pem(pem), Signature::from_slice(&signature));
        let (Ok(key), Ok(signature)) = (key, signature) else {
            "key or signature are not in the expected form".clone_into(&mut signed.what);
            return Ok(signed);
        };
        if key.verify_strict(&text, &signature).is_err() {
            let of = if known.is_some() { "this key" } else { "the key beside it" };
            signed.what = format!("it was not made with {of}");
            return Ok(signed);
        }
        let witness = String::from_utf8(text).ok().and_then(|text| text.trim_end().parse::<Witness>().ok());
        let Some(witness) = witness.filter(|witness| witness.seq == seq) else {
            "it does not stand under an end of a chain".clone_into(&mut signed.what);
            return Ok(signed);
        };
        let proven = journal::verify(&self.known(id)?, Some(&witness)).map_err(|error| told(error, id))?;
        signed.ok = proven.ok;
        signed.what = match (proven.ok, known) {
            (false, _) => proven.sentence(),
            (true, Some(_)) => "made with the known key".to_owned(),
            (true, None) => "made with the key beside it; compare that with the one you know".to_owned(),
        };
        Ok(signed)
    }
}
