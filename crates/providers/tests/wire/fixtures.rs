//! The exchanges of `tests/fixtures`, which have the recorder's form.

use std::path::{Path, PathBuf};

use sortie_providers::dialect::{self, Dialect};
use sortie_sim::record::Exchange;

/// A fixture: its file's name without the ending, and what is in it.
pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) exchange: Exchange,
    /// The reply's body, whole.
    pub(crate) body: Vec<u8>,
}

/// The fixture of this name.
pub(crate) fn load(name: &str) -> Recorded {
    read(&Path::new(DIRECTORY).join(format!("{name}.json")))
}

/// All fixtures, by name.
pub(crate) fn all() -> Vec<Recorded> {
    let paths = std::fs::read_dir(DIRECTORY).unwrap().map(|entry| entry.unwrap().path());
    let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut all: Vec<Recorded> = paths.filter(is_json).map(|path| read(&path)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

fn read(path: &Path) -> Recorded {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let exchange = Exchange::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let dialect = dialect::ALL.iter().find(|dialect| dialect.path() == exchange.request.path);
    let dialect = *dialect.unwrap_or_else(|| panic!("{name}: no dialect serves {}", exchange.request.path));
    let body = exchange.response.body();
    Recorded { name, dialect, exchange, body }
}
