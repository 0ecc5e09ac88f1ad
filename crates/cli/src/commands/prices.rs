//! `sortie prices [MODEL]`: what models cost, and which table says so.

use sortie::config::{Config, Overrides};
use sortie::core::document::nearest;
use sortie::core::price::{self, Row};
use sortie::report::prices::{Prices, Stated};
use sortie::session::today;

use crate::args::{PricesArgs, ProviderArg};
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::{self, Terminal};

/// Names that a hint has, at most.
const MOST_HINTS: usize = 4;

pub(super) fn run(args: &PricesArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let setting = load::setting(&args.places, &Overrides::default())?;
    let provider = args.provider.map(ProviderArg::name);
    let is_of = |name: &str| provider.is_none_or(|provider| provider == name);
    let table = price::table();
    let mut rows: Vec<&Row> = table.rows.iter().filter(|row| is_of(&row.provider)).collect();
    let mut stated: Vec<Stated<'_>> =
        stated(&setting.config).filter(|stated| is_of(stated.provider)).collect();
    if let Some(model) = &args.model {
        let found = table.find(model).map(|row| &row.model);
        let unknown = unknown(model, &rows, &stated);
        rows.retain(|row| Some(&row.model) == found);
        stated.retain(|stated| stated.model == model);
        if rows.is_empty() && stated.is_empty() {
            let elsewhere = table.find(model).map(|row| (row, provider.unwrap_or_default()));
            return Err(elsewhere.map_or(unknown, |(row, asked)| {
                let message =
                    format!("{model} is no model of {asked}'s: the table has it as {}'s", row.provider);
                Failed::new(Exit::Invalid, message).hint(format!("--provider {} has it", row.provider))
            }));
        }
    }
    let stated_in =
        setting.config_path.as_deref().map_or_else(String::new, |path| path.display().to_string());
    let today = today().to_string();
    let prices = Prices { table, rows, stated, stated_in: &stated_in, today: &today };
    if terminal.json() {
        terminal::document(&prices.document());
    } else if args.model.is_some() {
        terminal::result(&prices.details());
    } else {
        terminal::result(&prices.list());
    }
    Ok(Exit::Success)
}

/// The agents whose price is the configuration's.
fn stated(config: &Config) -> impl Iterator<Item = Stated<'_>> {
    let agents = config.agents.iter().map(|configured| &configured.agent);
    agents.filter(|agent| agent.pricing.is_stated()).map(|agent| Stated {
        agent: &agent.name,
        model: &agent.model,
        provider: &agent.provider,
        pricing: &agent.pricing,
    })
}

/// There is no price for this model; what may have been meant, and how one is given.
fn unknown(model: &str, rows: &[&Row], stated: &[Stated<'_>]) -> Failed {
    let names = || {
        let aliases = rows.iter().flat_map(|row| std::iter::once(&row.model).chain(&row.aliases));
        aliases.map(String::as_str).chain(stated.iter().map(|stated| stated.model))
    };
    let of_its_kind = names().filter(|name| !model.is_empty() && name.contains(model));
    let mut near: Vec<&str> = of_its_kind.take(MOST_HINTS).collect();
    if near.is_empty() {
        near.extend(nearest(model, names()));
    }
    let mut hint = String::new();
    if !near.is_empty() {
        let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
        hint = format!("did you mean {}?\n", near.join(", "));
    }
    hint += "`sortie prices` lists all; give another model its price as agents.NAME.price: { input: USD, output: USD } \
             per million tokens, or free";
    Failed::new(Exit::Invalid, format!("no price of model {model:?} is known")).hint(hint)
}
