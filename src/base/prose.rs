//! Text in lines of a width, which also stays what it is where the lines are read as Markdown. Draws nothing.

/// The lines of a text, each at most `limit` wide. Text between two spaces is never parted; a longer word
/// has a line of its own.
pub fn wrapped(text: &str, limit: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= limit || begins_something(word) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    if lines.is_empty() { vec![String::new()] } else { lines }
}

/// True for a word that at the beginning of a line would be a heading, a list or a quotation.
fn begins_something(word: &str) -> bool {
    let number =
        word.strip_suffix(['.', ')']).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    number
        || ["-", "+", ">"].contains(&word)
        || word.starts_with(['#', '=', '~', '>'])
        || word.starts_with("--")
}

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_never_parted_and_never_begin_a_list() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a longest b", 3), ["a", "longest", "b"]);
        assert_eq!(wrapped("since 1. January - long", 7), ["since 1.", "January -", "long"]);
        assert_eq!(wrapped(" ", 7), [""]);
    }
}
