//! Lines, line ends and columns: the bytes between the echo and the prompt.
//!
//! The consoles mix two habits, which the raw captures show: tables put their line end behind a line
//! (`\r\r\n`), lists put it in front of the next (`\r\n\r`). So here each line carries what stands before it.

/// Before a line of a table.
pub(crate) const FEED: &str = "\r\r\n";
/// Before a line of a list.
pub(crate) const HEAD: &str = "\r\n\r";
/// Before a line in the record ahead of the pager.
pub(crate) const BARE: &str = "\n\r";
/// Before the usage line of a refusal.
pub(crate) const PLAIN: &str = "\r\n";
/// What the pager says, and waits behind.
pub(crate) const PAGER: &str = "\n\rPress [Enter] to be continued,other key to exit\r";
/// How the pager's line is wiped from a terminal.
pub(crate) const ERASE: &str = "\r                                                  \r";

/// What was typed, as the bytes that it was: noise in front of a command comes back unchanged.
pub(crate) fn latin1(typed: &str) -> Vec<u8> {
    typed.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

/// The lines of an answer, cut into pages where the pager waits.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pages: Vec<Vec<u8>>,
}

impl Text {
    /// A text that begins with the start mark.
    pub(crate) fn marked() -> Self {
        Self { pages: vec![b"\r@".to_vec()] }
    }

    /// A text without start mark.
    pub(crate) fn unmarked() -> Self {
        Self { pages: vec![Vec::new()] }
    }

    /// Adds a line, and what stands before it.
    pub(crate) fn line(&mut self, before: &str, line: impl AsRef<[u8]>) {
        if let Some(page) = self.pages.last_mut() {
            page.extend_from_slice(before.as_bytes());
            page.extend_from_slice(line.as_ref());
        }
    }

    /// Lets the pager wait here. What follows begins with a carriage return of its own.
    pub(crate) fn pause(&mut self) {
        self.line("", PAGER);
        self.pages.push([ERASE.as_bytes(), b"\r"].concat());
    }

    /// The pages in order; there is at least one.
    pub(crate) fn into_pages(self) -> Vec<Vec<u8>> {
        self.pages
    }
}

/// A column of a table: its header, and how a row fills it.
pub(crate) struct Column<R> {
    /// Header text.
    pub(crate) head: &'static str,
    /// Width of the header with its blanks.
    pub(crate) head_width: usize,
    /// Width of a value with its blanks.
    pub(crate) width: usize,
    /// The value of a row.
    pub(crate) value: fn(&R) -> String,
}

/// A column as wide in its header as in its rows.
pub(crate) const fn column<R>(head: &'static str, width: usize, value: fn(&R) -> String) -> Column<R> {
    Column { head, head_width: width, width, value }
}

/// A column whose rows have another width than its header.
pub(crate) const fn uneven<R>(
    head: &'static str,
    head_width: usize,
    width: usize,
    value: fn(&R) -> String,
) -> Column<R> {
    Column { head, head_width, width, value }
}

/// The header line.
pub(crate) fn header<R>(columns: &[&[Column<R>]]) -> String {
    columns.iter().copied().flatten().map(|c| format!("{:<1$}", c.head, c.head_width)).collect()
}

/// A row.
pub(crate) fn row<R>(columns: &[&[Column<R>]], values: &R) -> String {
    columns.iter().copied().flatten().map(|c| format!("{:<1$}", (c.value)(values), c.width)).collect()
}

/// The row of a place without a battery: its number, one word, and dashes.
pub(crate) fn absent_row<R>(columns: &[&[Column<R>]], place: usize) -> String {
    let cell = |column: &Column<R>| match column.head {
        "Power" => place.to_string(),
        "Base.St" => "Absent".to_owned(),
        _ => "-".to_owned(),
    };
    columns.iter().copied().flatten().map(|c| format!("{:<1$}", cell(c), c.width)).collect()
}
