//! What the facts on the board mean: a state, a few words an operator would say, and what to do next.
//!
//! Pure. Unknown is never good; a fact that is old is said to be old.
