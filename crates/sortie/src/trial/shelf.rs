//! The files of trials: beside those of the runs that were judged.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sortie_report::trial::{Trial, junit, markdown};

use crate::error::Error;
use crate::files::replace;

/// How a file is made of a trial.
type Render = fn(&Trial) -> Vec<u8>;

/// Files of a trial beside those of the run that was judged.
const FILES: [(&str, Render); 3] = [("test_report.md", markdown), ("junit.xml", junit), (DOCUMENT, document)];

/// The trial itself, for programs and for the trials after it.
const DOCUMENT: &str = "trial.json";

/// A larger file is no trial's.
const MAX_BYTES: u64 = 64 << 20;

fn document(trial: &Trial) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(trial).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Writes a trial's files into a directory; gives the path of its report.
///
/// # Errors
/// The first file that could not be written; each is replaced whole or not at all.
pub fn write(trial: &Trial, directory: &Path) -> Result<PathBuf, Error> {
    for (name, render) in FILES {
        replace(directory, name, &render(trial))?;
    }
    Ok(directory.join(FILES[0].0))
}

/// The trials of a results directory, newest first. What cannot be read is none.
pub fn earlier(results_dir: &Path) -> Vec<Trial> {
    let read = |directory: PathBuf| {
        let path = directory.join(DOCUMENT);
        let is_one = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES);
        let text = is_one.then(|| fs::read(&path).ok()).flatten()?;
        serde_json::from_slice::<Trial>(&text).ok()
    };
    let directories =
        fs::read_dir(results_dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut trials: Vec<Trial> = directories.filter_map(read).collect();
    trials.sort_by(|a, b| b.started_at.cmp(&a.started_at));
    trials
}

/// Writes a scenario to where the user wants it.
pub(super) fn scenario(text: &str, file: &Path) -> Result<(), Error> {
    let written = fs::write(file, text);
    written.map_err(|source| Error::File { doing: "write", path: file.to_owned(), source })
}

/// How many lines a log of a run has.
pub(super) fn lines(directory: &Path, name: &str) -> io::Result<u64> {
    Ok(fs::read_to_string(directory.join(name))?.lines().count() as u64)
}
