//! From an export's bytes to rows of named cells, whether it is CSV or JSON.
//!
//! JSON is a page of an API: buckets of time, each with results. A result with its bucket's times is a
//! row; a nested value's name is its path (`cache_creation.ephemeral_5m_input_tokens`). A bucket without
//! results is a row too: the export knows of that day that nothing was used.

use std::collections::BTreeMap;
use std::fmt::Write;

use csv::{ReaderBuilder, StringRecord};
use serde_json::{Map, Value};
use sortie_core::time::Time;

use super::decimal::{self, Marks, scaled};
use crate::units::{date, instant, midnight};

/// The most bytes that an export may have. A line is about 150 of them, a day has a few dozen lines.
pub const MAX_BYTES: usize = 64 << 20;
/// The most bytes of JSON: it takes ten times as much memory, and a page of the APIs is some kilobytes.
const MAX_JSON_BYTES: usize = 16 << 20;
/// The most columns; the widest known export has 30.
const MAX_COLUMNS: usize = 200;
/// Columns that an error names.
const MOST_NAMED: usize = 12;
/// Characters of a cell that an error repeats.
const MOST_SHOWN: usize = 40;

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is larger than any that we read.
    #[error("it has more than {} MiB", .0 >> 20)]
    TooLarge(usize),
    /// It has no rows.
    #[error("it is empty")]
    Empty,
    /// It is no CSV.
    #[error("it is not CSV")]
    Csv(#[source] csv::Error),
    /// It is no JSON.
    #[error("it is not JSON")]
    Json(#[source] serde_json::Error),
    /// It is JSON, but no answer of a usage or cost API.
    #[error("it is no page of a usage or cost API: there is no list `data` in it")]
    NoPage,
    /// It has more columns than any export.
    #[error("it has more than {MAX_COLUMNS} columns")]
    TooWide,
    /// It is none of the formats that we know.
    #[error("it is no export that sortie knows; its columns are {columns}")]
    Unknown {
        /// The first of its columns.
        columns: String,
    },
    /// A cell is not what its column has to be.
    #[error("row {row}: {column} is {found:?}, not {expected}")]
    Cell {
        /// Which row, the first after the headings being 1; of JSON, which result.
        row: usize,
        /// Which column.
        column: String,
        /// What is there, shortened.
        found: String,
        /// What has to be.
        expected: &'static str,
    },
}

/// The columns, by their names in lower case with `_` for all that is no letter, digit or point.
pub(super) type Columns = BTreeMap<String, usize>;

/// Rows of cells.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) columns: Columns,
    pub(super) is_partial: bool,
    marks: Marks,
    records: Vec<StringRecord>,
}

/// A row, whose cells are found by the names of their columns.
pub(super) struct Row<'a> {
    number: usize,
    marks: Marks,
    columns: &'a Columns,
    record: &'a StringRecord,
}

impl Sheet {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ExportError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_json = matches!(first, Some(b'{' | b'['));
        let limit = if is_json { MAX_JSON_BYTES } else { MAX_BYTES };
        if bytes.len() > limit {
            return Err(ExportError::TooLarge(limit));
        }
        let sheet = if is_json { Sheet::json(bytes)? } else { Sheet::csv(bytes)? };
        if sheet.records.is_empty() { Err(ExportError::Empty) } else { Ok(sheet) }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let rows = self.records.iter().enumerate();
        rows.map(|(n, record)| Row { number: n + 1, marks: self.marks, columns: &self.columns, record })
    }

    /// The error of a file that no format recognises.
    pub(super) fn unknown(&self) -> ExportError {
        let mut names: Vec<&str> = self.columns.keys().map(String::as_str).take(MOST_NAMED).collect();
        if self.columns.len() > MOST_NAMED {
            names.push("…");
        }
        ExportError::Unknown { columns: shortened(&names.join(", "), MOST_NAMED * MOST_SHOWN) }
    }

    fn csv(bytes: &[u8]) -> Result<Self, ExportError> {
        let delimiter = delimiter(bytes);
        let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
        // Spreadsheets separate cells by semicolons where a comma stands before decimals.
        let marks = match delimiter {
            b';' => Marks::Comma,
            b'\t' => Marks::Unknown,
            _ => Marks::Point,
        };
        let mut sheet = Sheet { marks, ..Sheet::default() };
        for heading in reader.headers().map_err(ExportError::Csv)? {
            let place = sheet.columns.len();
            // Of two columns with one name the first counts; the place of the other is taken all the same.
            let name = normalised(heading);
            let name = if sheet.columns.contains_key(&name) { format!("{name}#{place}") } else { name };
            sheet.columns.insert(name, place);
            if sheet.columns.len() > MAX_COLUMNS {
                return Err(ExportError::TooWide);
            }
        }
        for record in reader.records() {
            sheet.records.push(record.map_err(ExportError::Csv)?);
        }
        Ok(sheet)
    }

    fn json(bytes: &[u8]) -> Result<Self, ExportError> {
        let mut sheet = Sheet::default();
        for page in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>() {
            match page.map_err(ExportError::Json)? {
                Value::Array(pages) => {
                    for page in &pages {
                        sheet.page(page)?;
                    }
                }
                page => sheet.page(&page)?,
            }
        }
        Ok(sheet)
    }

    fn page(&mut self, page: &Value) -> Result<(), ExportError> {
        self.is_partial = page.get("has_more") == Some(&Value::Bool(true));
        let buckets = page.get("data").and_then(Value::as_array).ok_or(ExportError::NoPage)?;
        for bucket in buckets.iter().filter_map(Value::as_object) {
            let results = bucket.get("results").and_then(Value::as_array).map(Vec::as_slice);
            let results = results.unwrap_or_default();
            if results.is_empty() {
                self.record(bucket, None)?;
            }
            for result in results.iter().filter_map(Value::as_object) {
                self.record(bucket, Some(result))?;
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        bucket: &Map<String, Value>,
        result: Option<&Map<String, Value>>,
    ) -> Result<(), ExportError> {
        let mut cells: BTreeMap<usize, String> = BTreeMap::new();
        for (name, value) in bucket.iter().chain(result.into_iter().flatten()) {
            let nested = value.as_object().into_iter().flatten();
            let nested = nested.map(|(inner, value)| (format!("{name}.{inner}"), value));
            for (name, value) in std::iter::once((name.clone(), value)).chain(nested) {
                if let Some(text) = scalar(value) {
                    cells.insert(self.place(&normalised(&name))?, text);
                }
            }
        }
        let width = cells.last_key_value().map_or(0, |(last, _)| last + 1);
        let cell = |place| cells.get(&place).map_or("", String::as_str);
        self.records.push((0..width).map(cell).collect());
        Ok(())
    }

    fn place(&mut self, column: &str) -> Result<usize, ExportError> {
        if let Some(place) = self.columns.get(column) {
            return Ok(*place);
        }
        let place = self.columns.len();
        if place >= MAX_COLUMNS {
            return Err(ExportError::TooWide);
        }
        self.columns.insert(column.to_owned(), place);
        Ok(place)
    }
}

/// What separates the cells: what the first line has most of.
fn delimiter(bytes: &[u8]) -> u8 {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| line.split(|byte| byte == delimiter).count();
    // The last of equals is taken: a comma where there is none of any.
    [b';', b'\t', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// `Usage Date (UTC)` as `usage_date_utc`.
fn normalised(heading: &str) -> String {
    let mut name = String::new();
    for c in heading.trim().chars() {
        match c {
            '.' => name.push(c),
            c if c.is_alphanumeric() => name.extend(c.to_lowercase()),
            _ if !name.ends_with('_') => name.push('_'),
            _ => {}
        }
    }
    name.trim_matches('_').to_owned()
}

/// A single value as a cell; none for what is nested or null.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn shortened(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        let _ = short.write_char('…');
    }
    short
}

impl Row<'_> {
    /// The cell of the first of these columns that has one with something in it.
    pub(super) fn text(&self, spellings: &[&str]) -> Option<&str> {
        let cell = |name: &&str| Some(self.record.get(*self.columns.get(*name)?)?.trim());
        spellings.iter().filter_map(cell).find(|cell| !cell.is_empty())
    }

    /// The day (UTC) that a cell names: a date, a time in RFC 3339, or Unix seconds. A time without an
    /// offset is taken for UTC.
    pub(super) fn day(&self, spellings: &[&str]) -> Result<String, ExportError> {
        let text = self.text(spellings).unwrap_or_default();
        if text.len() > 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let micros = text.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1_000_000));
            return micros
                .map(|micros| date(Time::from_micros(micros)))
                .ok_or_else(|| self.bad(spellings, "a day"));
        }
        if let Some(at) = instant(text) {
            return Ok(date(at));
        }
        let day = text.get(..10).filter(|day| midnight(day).is_some());
        day.map(str::to_owned).ok_or_else(|| self.bad(spellings, "a day"))
    }

    /// A count; none where the export does not say it.
    pub(super) fn count(&self, spellings: &[&str]) -> Result<Option<i128>, ExportError> {
        let Some(text) = self.text(spellings) else { return Ok(None) };
        // Exports that passed through a spreadsheet have `59200.0`; a fraction of a token is none.
        let scaled = |shift| scaled(text, shift, self.marks);
        let whole = scaled(0).filter(|&n| n >= 0 && scaled(3) == n.checked_mul(1000));
        whole.map(Some).ok_or_else(|| self.bad(spellings, "a whole number"))
    }

    /// An amount of money in picodollars, of a cell in units of 10^(`shift` − 12) dollars; none where
    /// the export does not say it.
    pub(super) fn money(&self, spellings: &[&str], shift: i32) -> Result<Option<i128>, ExportError> {
        let Some(text) = self.text(spellings) else { return Ok(None) };
        let amount = scaled(text, shift, self.marks);
        amount.map(Some).ok_or_else(|| self.bad(spellings, "an amount of money"))
    }

    /// How many decimals the first of these columns is written with.
    pub(super) fn decimals(&self, spellings: &[&str]) -> usize {
        self.text(spellings).map_or(0, |text| decimal::decimals(text, self.marks))
    }

    /// Refuses an amount in another currency than US dollars.
    pub(super) fn check_currency(&self, spellings: &[&str]) -> Result<(), ExportError> {
        match self.text(spellings) {
            Some(currency) if !currency.eq_ignore_ascii_case("usd") => Err(self.bad(spellings, "US dollars")),
            _ => Ok(()),
        }
    }

    /// The error of a cell of the first of these columns.
    pub(super) fn bad(&self, spellings: &[&str], expected: &'static str) -> ExportError {
        let named = spellings.iter().find(|name| self.columns.contains_key(**name));
        ExportError::Cell {
            row: self.number,
            column: named.or(spellings.first()).map_or_else(String::new, |name| (*name).to_owned()),
            found: shortened(self.text(spellings).unwrap_or_default(), MOST_SHOWN),
            expected,
        }
    }
}

/// Whether any of these columns is there.
pub(super) fn has(columns: &Columns, spellings: &[&str]) -> bool {
    spellings.iter().any(|name| columns.contains_key(*name))
}
