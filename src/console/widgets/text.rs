//! Text by its width on the screen: cut, padded, wrapped, put. Bytes and characters are never counted for columns.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text, or as much of its beginning as fits with a `…` behind it.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = head(Span::raw(text).styled_graphemes(Style::new()).map(|g| g.symbol), columns);
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The text, or as many of its words as fit with a `…` behind them.
pub fn cut_at_word(text: &str, columns: usize) -> String {
    if width(text) <= columns { text.to_owned() } else { with_more(text, columns) }
}

/// As many words of the text as fit with a `…` behind them, which says that there is more.
pub fn with_more(text: &str, columns: usize) -> String {
    let first = lines(text, columns.saturating_sub(2).max(1)).into_iter().next().unwrap_or_default();
    let whole =
        text.strip_prefix(first.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    if whole { format!("{first} …") } else { cut(&format!("{text}…"), columns) }
}

/// The text, or as much of its end as fits with a `…` before it: for paths and names whose end tells them apart.
pub fn cut_left(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let span = Span::raw(text);
    let mut symbols: Vec<&str> = span.styled_graphemes(Style::new()).map(|g| g.symbol).collect();
    let (mut used, mut kept) = (1, Vec::new());
    while let Some(symbol) = symbols.pop() {
        used += width(symbol);
        if used > columns {
            break;
        }
        kept.push(symbol);
    }
    kept.reverse();
    if columns == 0 { String::new() } else { format!("…{}", kept.concat()) }
}

/// What fits into one column less than `columns`.
fn head<'a>(symbols: impl Iterator<Item = &'a str>, columns: usize) -> String {
    let (mut used, mut kept) = (1, String::new());
    for symbol in symbols {
        used += width(symbol);
        if used > columns {
            break;
        }
        kept.push_str(symbol);
    }
    kept
}

/// Exactly `columns` wide, at the left.
pub fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let spaces = columns.saturating_sub(width(&text));
    format!("{text}{}", " ".repeat(spaces))
}

/// Exactly `columns` wide, at the right: for numbers.
pub fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let spaces = columns.saturating_sub(width(&text));
    format!("{}{text}", " ".repeat(spaces))
}

/// The text in lines of at most `columns`, broken between words where there are any.
pub fn lines(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let indent: String = paragraph.chars().take_while(|c| *c == ' ').take(columns / 2).collect();
        let mut line = indent.clone();
        for word in paragraph.split_whitespace() {
            let mut word = word.to_owned();
            let space = usize::from(width(&line) > width(&indent));
            if width(&line) + space + width(&word) > columns && space > 0 {
                lines.push(std::mem::replace(&mut line, indent.clone()));
            } else if space > 0 {
                line.push(' ');
            }
            while width(&line) + width(&word) > columns {
                let room = columns.saturating_sub(width(&line)).max(1);
                let piece = first_columns(&word, room).to_owned();
                word.drain(..piece.len());
                lines.push(format!("{line}{piece}"));
                line.clone_from(&indent);
            }
            line.push_str(&word);
        }
        lines.push(line);
    }
    lines
}

/// The longest beginning of `columns` or fewer, one character at least.
fn first_columns(text: &str, columns: usize) -> &str {
    let fits = |end: &usize| width(&text[..*end]) <= columns;
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let first = text.chars().next().map_or(0, char::len_utf8);
    &text[..ends.take_while(fits).last().unwrap_or(first)]
}

/// Puts a line at the top of `area`, cut to its width with a `…`; returns the columns used.
pub fn put<'a>(buffer: &mut Buffer, area: Rect, line: impl Into<Line<'a>>) -> u16 {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return 0;
    }
    let line = line.into();
    let mut x = area.x;
    for span in &line.spans {
        let room = usize::from(area.right() - x);
        let text = cut(&span.content, room);
        let cut_off = text.len() != span.content.len();
        x = buffer.set_stringn(x, area.y, text, room, line.style.patch(span.style)).0;
        if cut_off || x >= area.right() {
            break;
        }
    }
    x - area.x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_what_it_takes_on_the_screen() {
        assert_eq!(
            (cut("hello", 5), cut("hello", 4), cut("hello", 0)),
            ("hello".into(), "hel…".into(), String::new())
        );
        assert_eq!(
            (cut("日本語", 6), cut("日本語", 5), cut("日本語", 4)),
            ("日本語".into(), "日本…".into(), "日…".into())
        );
        assert_eq!((cut_left("/a/long/path", 6), cut_left("x", 6)), ("…/path".into(), "x".into()));
        for columns in 0..12 {
            assert_eq!(width(&left("日本語 text", columns)), columns);
            assert_eq!(width(&right("日本語 text", columns)), columns);
            assert!(width(&cut_left("日本語 text", columns)) <= columns);
        }
    }

    #[test]
    fn what_is_cut_at_a_word_ends_in_a_whole_one() {
        assert_eq!(cut_at_word("one two three", 13), "one two three");
        assert_eq!(cut_at_word("one two three", 12), "one two …");
        assert_eq!(cut_at_word("supercalifragilistic", 6), "super…");
        assert_eq!((with_more("one two", 9), with_more("one two", 8)), ("one two …".into(), "one …".into()));
        assert_eq!((with_more("abcdef", 4), with_more("", 4)), ("abc…".into(), " …".into()));
    }

    #[test]
    fn lines_break_between_words_and_lose_nothing() {
        assert_eq!(lines("one two three", 8), ["one two", "three"]);
        assert_eq!(lines("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(lines("  in dent", 6), ["  in", "  dent"]);
        assert_eq!(lines("a\n\nb", 4), ["a", "", "b"]);
        for columns in 1..20 {
            let text = "supercalifragilistic 日本語日本語 x yy zzz";
            let wrapped = lines(text, columns);
            let kept: String = wrapped.concat().split_whitespace().collect();
            assert_eq!(kept, text.split_whitespace().collect::<String>(), "{columns}");
            assert!(wrapped.iter().all(|line| width(line) <= columns.max(2)), "{columns}: {wrapped:?}");
        }
    }

    #[test]
    fn nothing_is_put_outside_its_place() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 2));
        assert_eq!(put(&mut buffer, Rect::new(2, 1, 90, 90), "abcdef"), 4);
        assert_eq!(buffer, Buffer::with_lines(["      ", "  abc…"]));
        assert_eq!(put(&mut buffer, Rect::new(9, 9, 3, 3), "abc"), 0);
    }
}
