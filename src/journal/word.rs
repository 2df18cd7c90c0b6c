//! The closed sets of words in which facts are told: severity, role, kind of recovery, audience, answer to an item.
//!
//! A word's name in files and on the command line never changes. Nothing here has an effect.

use serde::{Deserialize, Serialize};

/// A closed set of words, each with its name in files, on the command line and in a sentence.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $text:literal, $said:literal;)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$what])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every one, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in files and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Its name in a sentence.
            pub fn said(self) -> &'static str {
                match self { $(Self::$variant => $said,)* }
            }

            /// The one of this name.
            pub fn of_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }
    };
}

words! {
    /// How bad an incident is.
    Severity {
        /// Service is out, or data is being lost.
        Sev1 = "sev1", "SEV1";
        /// A part is out, or the next failure would lose data.
        Sev2 = "sev2", "SEV2";
        /// Degraded, with a way around.
        Sev3 = "sev3", "SEV3";
        /// To be mended, nobody outside notices.
        Sev4 = "sev4", "SEV4";
    }
}

words! {
    /// A part that one person plays.
    Role {
        /// Decides.
        Lead = "lead", "Incident Lead";
        /// Has the keys, and nobody else.
        Operator = "operator", "Restore Operator";
        /// Tells everybody else.
        Comms = "comms", "Comms Lead";
    }
}

words! {
    /// The kinds of recovery that differ in what is expected of them.
    Scenario {
        /// The newest state.
        Latest = "latest", "recovery to the newest state";
        /// An earlier moment.
        Pitr = "pitr", "point-in-time recovery";
        /// Beside the cluster, which stays as it is.
        Side = "side", "side instance";
        /// Bare host to service.
        FullSite = "full-site", "full-site recovery";
        /// From the repository elsewhere.
        CrossRegion = "cross-region", "cross-region recovery";
    }
}

words! {
    /// Who is told.
    Audience {
        /// The own people.
        Internal = "internal", "internal";
        /// Customers and the public.
        External = "external", "external";
    }
}

words! {
    /// How an item of a checklist stands.
    TickResult {
        /// As it is to be.
        Ok = "ok", "ok";
        /// Not as it is to be.
        Failed = "failed", "failed";
        /// It could not be told.
        Unknown = "unknown", "unknown";
        /// It does not apply here, as a person says.
        NotApplicable = "n/a", "not applicable";
    }
}
