//! Whether the judgement says what an operator must know, situation by situation.
