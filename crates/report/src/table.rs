//! Plain tables whose columns line up in a terminal, in the width that characters have there: a
//! Chinese character takes two places.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal::one_line;

/// Which side a column's cells keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Places a cell may take; a longer one ends in `…`.
const WIDEST: usize = 40;

/// A table with a line of headings. Cells are made safe to show; every line ends with a line break.
pub(crate) fn table<const N: usize>(columns: [(&str, Side); N], rows: &[[String; N]]) -> String {
    let headings = columns.map(|(heading, _)| heading.to_owned());
    let rows: Vec<[String; N]> =
        std::iter::once(&headings).chain(rows).map(|row| row.each_ref().map(|cell| shown(cell))).collect();
    let widths: [usize; N] =
        std::array::from_fn(|n| rows.iter().map(|row| row[n].width()).max().unwrap_or_default());
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = (0..N)
            .map(|n| {
                let space = " ".repeat(widths[n] - row[n].width());
                match columns[n].1 {
                    Side::Left => format!("{}{space}", row[n]),
                    Side::Right => format!("{space}{}", row[n]),
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn shown(cell: &str) -> String {
    let cell = one_line(cell);
    if cell.width() <= WIDEST {
        return cell.into_owned();
    }
    let mut shown = String::new();
    for c in cell.chars() {
        if shown.width() + c.width().unwrap_or(0) >= WIDEST {
            break;
        }
        shown.push(c);
    }
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_the_width_of_their_characters() {
        let rows = [["分析需求", "1.5"], ["design", "12.25"], ["a\nb", ""]].map(|row| row.map(str::to_owned));
        let text = table([("task", Side::Left), ("latency", Side::Right)], &rows);
        assert_eq!(text, "task      latency\n分析需求      1.5\ndesign      12.25\na\\nb\n");
    }

    #[test]
    fn a_cell_that_is_too_long_is_cut_between_characters() {
        for long in ["x".repeat(100), "中".repeat(100), format!("a{}", "中".repeat(100))] {
            let cut = shown(&long);
            assert!(cut.ends_with('…') && (WIDEST - 1..=WIDEST).contains(&cut.width()), "{cut}");
        }
        assert_eq!(shown(&"x".repeat(WIDEST)), "x".repeat(WIDEST));
    }
}
