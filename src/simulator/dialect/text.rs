//! Lines, line ends and columns: the bytes between the echo and the prompt.
//!
//! The raw captures show two conventions in one console: tables end each line with `\r\r\n`, lists start each line
//! with `\r\n\r`. So each line here is added together with the bytes before it.

/// Before a line of a table.
pub(super) const FEED: &str = "\r\r\n";
/// Before a line of a list.
pub(super) const HEAD: &str = "\r\n\r";
/// Before a line of the record in front of the pager.
pub(super) const BARE: &str = "\n\r";
/// Before the usage line of an error.
pub(super) const PLAIN: &str = "\r\n";
/// The pager's prompt.
pub(super) const PAGER: &str = "\n\rPress [Enter] to be continued,other key to exit\r";
/// Erases the pager's prompt from a terminal.
pub(crate) const ERASE: &str = "\r                                                  \r";

/// The bytes of typed text: noise in front of a command is echoed unchanged.
pub(crate) fn latin1(typed: &str) -> Vec<u8> {
    typed.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

/// The lines of an answer, divided into pages by the pager.
#[derive(Clone, Debug)]
pub(crate) struct AnswerText {
    pages: Vec<Vec<u8>>,
}

impl AnswerText {
    /// Starts with the start mark.
    pub(crate) fn marked() -> Self {
        Self { pages: vec![b"\r@".to_vec()] }
    }

    /// Starts without start mark.
    pub(crate) fn unmarked() -> Self {
        Self { pages: vec![Vec::new()] }
    }

    /// Adds the line end `before`, then `line`.
    pub(crate) fn line(&mut self, before: &str, line: impl AsRef<[u8]>) {
        if let Some(page) = self.pages.last_mut() {
            page.extend_from_slice(before.as_bytes());
            page.extend_from_slice(line.as_ref());
        }
    }

    /// Starts a new page. It begins with an extra carriage return.
    pub(crate) fn pause(&mut self) {
        self.line("", PAGER);
        self.pages.push([ERASE.as_bytes(), b"\r"].concat());
    }

    /// Returns the pages in order; there is at least one.
    pub(crate) fn into_pages(self) -> Vec<Vec<u8>> {
        self.pages
    }
}

/// A column of a table: its header, and the function that prints its value.
pub(super) struct TextColumn<R> {
    pub(crate) head: &'static str,
    /// Width of the header including padding.
    pub(crate) head_width: usize,
    /// Width of a value including padding.
    pub(crate) width: usize,
    pub(crate) value: fn(&R) -> String,
}

/// A column with the same width in header and rows.
pub(super) const fn column<R>(head: &'static str, width: usize, value: fn(&R) -> String) -> TextColumn<R> {
    TextColumn { head, head_width: width, width, value }
}

/// A column with different widths in header and rows.
pub(super) const fn uneven<R>(
    head: &'static str,
    head_width: usize,
    width: usize,
    value: fn(&R) -> String,
) -> TextColumn<R> {
    TextColumn { head, head_width, width, value }
}

pub(super) fn header<R>(columns: &[&[TextColumn<R>]]) -> String {
    columns.iter().copied().flatten().map(|c| format!("{:<1$}", c.head, c.head_width)).collect()
}

pub(super) fn row<R>(columns: &[&[TextColumn<R>]], values: &R) -> String {
    columns.iter().copied().flatten().map(|c| format!("{:<1$}", (c.value)(values), c.width)).collect()
}

/// The row of an absent battery: its place, `Absent`, and dashes.
pub(super) fn absent_row<R>(columns: &[&[TextColumn<R>]], place: usize) -> String {
    let cell = |column: &TextColumn<R>| match column.head {
        "Power" => place.to_string(),
        "Base.St" => "Absent".to_owned(),
        _ => "-".to_owned(),
    };
    columns.iter().copied().flatten().map(|c| format!("{:<1$}", cell(c), c.width)).collect()
}
