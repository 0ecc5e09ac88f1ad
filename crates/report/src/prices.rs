//! What `sortie prices` says: the price table, one of its models with all its rates, and what a
//! configuration states in its place. Dollars per million tokens, to the last decimal.

mod document;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use sortie_core::money::Usd;
use sortie_core::price::{Price, Pricing, Rates, Row, Table};
use sortie_core::usage::Tier;

use crate::table::{Side, table};
use crate::terminal::one_line;
use crate::units::grouped;

/// What is listed, and on which day.
#[derive(Clone, Debug)]
pub struct Prices<'a> {
    /// The table's own facts.
    pub table: &'a Table,
    /// Its rows that are asked for.
    pub rows: Vec<&'a Row>,
    /// Prices that a configuration states.
    pub stated: Vec<Stated<'a>>,
    /// Where it does: `sortie.yaml`.
    pub stated_in: &'a str,
    /// The day, `YYYY-MM-DD`: what retires before it is marked.
    pub today: &'a str,
}

/// A price that a configuration states for one of its agents.
#[derive(Clone, Copy, Debug)]
pub struct Stated<'a> {
    /// The agent's name.
    pub agent: &'a str,
    /// Its model.
    pub model: &'a str,
    /// Its provider.
    pub provider: &'a str,
    /// The price.
    pub pricing: &'a Pricing,
}

impl Prices<'_> {
    /// All that is listed, a line for each.
    pub fn list(&self) -> String {
        let columns = [
            ("MODEL", Side::Left),
            ("IN", Side::Right),
            ("OUT", Side::Right),
            ("READ", Side::Right),
            ("WRITE 5M", Side::Right),
            ("WRITE 1H", Side::Right),
            ("BATCH", Side::Right),
            ("PRIORITY", Side::Right),
            ("LONG INPUT", Side::Right),
            ("CONTEXT", Side::Right),
            ("MAX OUT", Side::Right),
            ("RETIRES", Side::Left),
        ];
        let mut text = String::new();
        if !self.rows.is_empty() {
            text = table(columns, &self.rows.iter().map(|row| self.line(row)).collect::<Vec<_>>());
            text += "\nUSD per million tokens; pairs are input/output. PRIORITY is OpenAI's priority and \
                     Anthropic's fast mode;\nflex costs what BATCH does. LONG INPUT counts for all of a request \
                     that is longer.\nOpenAI's cache keeps what is written for 30 minutes or 12 hours.\n";
        }
        text + &self.stated_list() + &self.source()
    }

    fn line(&self, row: &Row) -> [String; 12] {
        let rates = &row.price.standard;
        let pair = |tier| row.price.tiers.get(&tier).map(pair_of);
        let long = rates.long.as_ref();
        let long =
            long.map(|long| format!(">{}: {}", thousands(long.above_input_tokens), pair_of(&long.rates)));
        let none = || "–".to_owned();
        [
            row.model.clone(),
            million(rates.input),
            million(rates.output),
            million(rates.cache_read),
            million(rates.cache_write),
            million(rates.cache_write_1h),
            pair(Tier::Batch).unwrap_or_else(none),
            pair(Tier::Priority).or(pair(Tier::Fast)).unwrap_or_else(none),
            long.unwrap_or_else(none),
            row.context.map_or_else(none, thousands),
            row.max_output.map_or_else(none, thousands),
            self.retirement(row),
        ]
    }

    fn retirement(&self, row: &Row) -> String {
        match &row.retires {
            Some(date) if date.as_str() <= self.today => format!("{date} (retired)"),
            Some(date) => date.clone(),
            None => String::new(),
        }
    }

    fn stated_list(&self) -> String {
        if self.stated.is_empty() {
            return String::new();
        }
        let columns = [
            ("AGENT", Side::Left),
            ("MODEL", Side::Left),
            ("IN", Side::Right),
            ("OUT", Side::Right),
            ("READ", Side::Right),
            ("WRITE 5M", Side::Right),
            ("WRITE 1H", Side::Right),
        ];
        let line = |stated: &Stated| {
            let rates = match stated.pricing {
                Pricing::Known(price) => columns_of(&price.standard),
                Pricing::Free => std::array::from_fn(|_| "free".to_owned()),
                Pricing::Unknown => std::array::from_fn(|_| "unknown".to_owned()),
            };
            let [input, output, read, write, long] = rates;
            [stated.agent.to_owned(), stated.model.to_owned(), input, output, read, write, long]
        };
        let lines = table(columns, &self.stated.iter().map(line).collect::<Vec<_>>());
        format!("\nStated in {}, and used in place of the table:\n{lines}", one_line(self.stated_in))
    }

    /// Which table it is.
    fn source(&self) -> String {
        let sources = self.table.sources.join(" and ");
        format!("\nPrice table of {}, made from {sources}.\n", self.table.name())
    }

    /// All that is known of the models that are listed, with every rate.
    pub fn details(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            text += &self.detail(row);
        }
        text + &self.stated_list() + &self.source()
    }

    fn detail(&self, row: &Row) -> String {
        let mut text = format!("{} ({})\n", row.model, row.provider);
        let mut fact = |what: &str, value: String| {
            let _ = writeln!(text, "  {what:<16} {value}");
        };
        if !row.aliases.is_empty() {
            fact("also called", row.aliases.join(", "));
        }
        if let Some(context) = row.context {
            fact("context window", format!("{} tokens", grouped(context)));
        }
        if let Some(most) = row.max_output {
            fact("longest answer", format!("{} tokens", grouped(most)));
        }
        if let (Some(date), Some(successor)) = (&row.retires, &row.successor) {
            let verb = if date.as_str() <= self.today { "was retired on" } else { "will be retired on" };
            fact("retirement", format!("{verb} {date}; its successor is {successor}"));
        }
        if !row.price.web_search.is_zero() {
            let (one, thousand) = (row.price.web_search.exact(2), row.price.web_search.times(1000).exact(0));
            fact("web search", format!("${one} each (${thousand} per 1,000), in every tier"));
        }
        if row.price.region_percent > 100 {
            let percent = row.price.region_percent - 100;
            let what = if row.provider == "openai" { "regional host" } else { "inference_geo us" };
            fact(what, format!("{percent} % more for all tokens"));
        }
        let [short, long] =
            if row.provider == "openai" { ["WRITE 30M", "WRITE 12H"] } else { ["WRITE 5M", "WRITE 1H"] };
        let columns = [
            ("  USD PER MILLION TOKENS", Side::Left),
            ("IN", Side::Right),
            ("OUT", Side::Right),
            ("CACHE READ", Side::Right),
            (short, Side::Right),
            (long, Side::Right),
        ];
        let line = |(name, rates): &(String, &Rates)| {
            let [input, output, read, write, long] = columns_of(rates);
            [format!("  {name}"), input, output, read, write, long]
        };
        text + "\n" + &table(columns, &every(&row.price).iter().map(line).collect::<Vec<_>>())
    }
}

/// All rates of a price with their names: tiers, and in each of them long requests.
fn every(price: &Price) -> Vec<(String, &Rates)> {
    let mut all = Vec::new();
    for (tier, rates) in price.each_tier() {
        all.push((tier.name().to_owned(), rates));
        if let Some(long) = &rates.long {
            all.push((
                format!("{}, input above {}", tier.name(), grouped(long.above_input_tokens)),
                &long.rates,
            ));
        }
    }
    all
}

fn columns_of(rates: &Rates) -> [String; 5] {
    [rates.input, rates.output, rates.cache_read, rates.cache_write, rates.cache_write_1h].map(million)
}

/// `1.5/7.5`.
fn pair_of(rates: &Rates) -> String {
    format!("{}/{}", million(rates.input), million(rates.output))
}

/// What a million tokens cost, exactly: `0.125`, `10`.
fn million(token: Usd) -> String {
    token.times(1_000_000).exact(0)
}

/// `272k`, `1,050k`; what is no round number stays whole.
fn thousands(n: u64) -> String {
    if n.is_multiple_of(1000) { format!("{}k", grouped(n / 1000)) } else { grouped(n) }
}
