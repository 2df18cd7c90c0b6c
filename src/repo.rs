//! The pgBackRest repository format.
