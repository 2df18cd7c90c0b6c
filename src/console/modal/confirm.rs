//! The typed confirmation: the only way to an effect that changes a cluster.
//!
//! [`Typed`] can be made in this file only, and only from the exact word; every destructive effect holds one, so no
//! other place in the program can make such an effect.

use super::field::Field;
use crate::console::input::{Effect, Key};
use crate::console::screens::Confirmed;

/// The word a person typed to confirm something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed(String);

impl Typed {
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A confirmation that is being asked for.
#[derive(Debug)]
pub(in crate::console) struct Confirmation {
    pub(super) title: String,
    pub(super) text: Vec<String>,
    pub(super) word: String,
    pub(super) field: Field,
    /// What was wrong with the last try.
    pub(super) refused: Option<String>,
    then: Confirmed,
}

impl Confirmation {
    pub(super) fn new(title: String, text: Vec<String>, word: String, then: Confirmed) -> Self {
        Self { title, text, word, field: Field::default(), refused: None, then }
    }

    /// Takes a key; the effect, once Enter was pressed behind the exact word.
    pub(super) fn key(&mut self, key: Key) -> Option<Effect> {
        if key != Key::Enter {
            self.refused = None;
            self.field.key(key);
            return None;
        }
        let typed = self.field.text();
        if self.word.is_empty() {
            self.refused = Some("there is no name to type, so this cannot be confirmed".to_owned());
            return None;
        }
        if typed != self.word {
            self.refused = Some(if typed.is_empty() {
                format!("nothing is done until {} is typed; Esc goes back", self.word)
            } else {
                format!("that is not {}; nothing was done", self.word)
            });
            return None;
        }
        let typed = Typed(typed.to_owned());
        Some(match self.then.clone() {
            Confirmed::Start { request, digest } => Effect::Start { request, digest, typed },
            Confirmed::Resume(id) => Effect::Resume { id, typed },
            Confirmed::Cancel(id) => Effect::Cancel { id, typed },
            Confirmed::Approve(digest) => Effect::Approve { digest, typed },
            Confirmed::Act(act) => Effect::RunAct { act, typed: Some(typed) },
            Confirmed::CloseOver(text) => Effect::CloseOver { text, typed },
            Confirmed::AnswerRight(id) => Effect::Promote { id, typed },
        })
    }

    /// Pasted text is no typed text.
    pub(super) fn paste(&mut self) {
        self.refused = Some("the name must be typed; pasted text is not taken".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::state::OpId;

    fn asked(word: &str) -> Confirmation {
        let id: OpId = "20261121T021407Z-recover-7f3a".parse().unwrap();
        Confirmation::new(String::new(), Vec::new(), word.to_owned(), Confirmed::Cancel(id))
    }

    fn typed(confirmation: &mut Confirmation, text: &str) -> Option<Effect> {
        text.chars().for_each(|c| assert!(confirmation.key(Key::Char(c)).is_none()));
        confirmation.key(Key::Enter)
    }

    #[test]
    fn only_the_exact_word_confirms() {
        for wrong in ["", "order", "Orders", "orders ", " orders", "ordersx", "yes", "ordérs"] {
            let mut confirmation = asked("orders");
            assert_eq!(typed(&mut confirmation, wrong), None, "{wrong}");
            assert!(confirmation.refused.is_some());
        }
        let effect = typed(&mut asked("orders"), "orders").unwrap();
        assert!(effect.is_destructive());
        assert!(matches!(effect, Effect::Cancel { typed, .. } if typed.as_str() == "orders"));
    }

    #[test]
    fn a_wrong_word_can_be_corrected() {
        let mut confirmation = asked("orders");
        assert_eq!(typed(&mut confirmation, "ordersz"), None);
        confirmation.key(Key::Backspace);
        assert!(confirmation.refused.is_none());
        assert!(confirmation.key(Key::Enter).is_some());
    }

    #[test]
    fn without_a_word_nothing_can_be_confirmed() {
        assert_eq!(typed(&mut asked(""), ""), None);
    }
}
