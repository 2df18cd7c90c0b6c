//! The whole console as one pure machine.
