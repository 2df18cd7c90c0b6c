//! Markdown that is also good to read as text: tables in columns, long texts in lines of at most 100 columns.
//!
//! Knows nothing of incidents.

use crate::base::prose::{width, wrapped};

/// The width of a report.
pub(super) const WIDTH: usize = 100;

/// Which side a column keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A table; what does not fit into the last column goes on in rows below.
pub(super) fn table(columns: &[(&str, Side)], rows: &[Vec<String>]) -> String {
    let shown = |text: &String| escaped(text);
    let mut widths: Vec<usize> = columns.iter().map(|(title, _)| width(title).max(3)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    if let Some((last, before)) = widths.split_last_mut() {
        // Each column takes three more: its bar and a blank on either side; the closing bar one.
        let taken = before.iter().sum::<usize>() + 3 * (before.len() + 1) + 1;
        *last = (*last).min(WIDTH.saturating_sub(taken).max(20));
    }
    let mut text = line(columns.iter().map(|(title, _)| (*title).to_owned()).collect(), columns, &widths);
    text += &rule(columns, &widths);
    for row in rows {
        text += &lines_of(row, columns, &widths);
    }
    text
}

fn lines_of(mut row: Vec<String>, columns: &[(&str, Side)], widths: &[usize]) -> String {
    let last = row.pop().unwrap_or_default();
    let mut parts = wrapped(&last, widths.last().copied().unwrap_or(WIDTH)).into_iter();
    row.push(parts.next().unwrap_or_default());
    let mut text = line(row, columns, widths);
    for part in parts {
        let mut row = vec![String::new(); columns.len().saturating_sub(1)];
        row.push(part);
        text += &line(row, columns, widths);
    }
    text
}

fn line(cells: Vec<String>, columns: &[(&str, Side)], widths: &[usize]) -> String {
    let padded = cells.into_iter().zip(columns).zip(widths).map(|((cell, (_, side)), all)| {
        let blanks = " ".repeat(all.saturating_sub(width(&cell)));
        match side {
            Side::Left => format!(" {cell}{blanks} "),
            Side::Right => format!(" {blanks}{cell} "),
        }
    });
    format!("|{}|\n", padded.collect::<Vec<_>>().join("|"))
}

fn rule(columns: &[(&str, Side)], widths: &[usize]) -> String {
    let dashes = columns.iter().zip(widths).map(|((_, side), width)| match side {
        Side::Left => format!(" {} ", "-".repeat(*width)),
        Side::Right => format!(" {}: ", "-".repeat(width.saturating_sub(1))),
    });
    format!("|{}|\n", dashes.collect::<Vec<_>>().join("|"))
}

/// A text after `lead`, in lines that stand below each other.
pub(super) fn item(lead: &str, text: &str) -> String {
    let indent = " ".repeat(width(lead));
    let lines = wrapped(&escaped(text), WIDTH.saturating_sub(width(lead)).max(20));
    format!("{lead}{}\n", lines.join(&format!("\n{indent}")))
}

/// A paragraph.
pub(super) fn paragraph(text: &str) -> String {
    item("", text)
}

/// Text that means itself: what Markdown would read as a mark is escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut plain = String::new();
    for c in super::words::one_line(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '<' | '|' | '[' | ']') {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_its_columns_and_its_width() {
        let columns = [("step", Side::Left), ("took", Side::Right), ("result", Side::Left)];
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = table(&columns, &[row(["copy", "12 s", &"word ".repeat(40)]), row(["a|b", "4m38", ""])]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6, "{text}");
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()), "{text}");
        assert!(lines[0].chars().count() <= WIDTH && lines[0].starts_with("| step "), "{text}");
        assert_eq!(&lines[1][..18], "| ---- | ---: | --");
        assert!(lines[3].starts_with("|      |      | word"), "{text}");
        assert!(lines[5].starts_with("| a\\|b | 4m38 |"), "{text}");
    }

    #[test]
    fn what_was_written_by_others_stays_text() {
        let text = item("- ", &format!("<b> *x* `y` {} 1. # - end", "long ".repeat(18)));
        assert!(text.starts_with("- \\<b> \\*x\\* \\`y\\` long"), "{text}");
        assert!(
            text.lines().skip(1).all(|line| line.starts_with("  ") && !line.trim().starts_with('#')),
            "{text}"
        );
    }
}
