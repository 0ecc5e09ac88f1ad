//! What may name a run: ids become directories below the results directory.

/// The id cannot name a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot name a run: use 1 to {LONGEST} letters, digits, '.', '_' and '-', \
     begin with none of '.' and '-', and not with {RESERVED:?}"
)]
pub struct BadRunId(String);

/// Fits every file system's names with room for a suffix.
const LONGEST: usize = 64;

/// The journal's own files lie beside the runs' directories.
const RESERVED: &str = "sortie.db";

/// Checks that an id can name a run: `[A-Za-z0-9._-]{1,64}`, so that it is one plain path
/// component everywhere, not hidden, no option of a command line, and not the journal's file.
///
/// # Errors
/// Says what is allowed.
pub fn check_run_id(run_id: &str) -> Result<(), BadRunId> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = (1..=LONGEST).contains(&run_id.len())
        && run_id.bytes().all(allowed)
        && !run_id.starts_with(['.', '-'])
        && !run_id.to_ascii_lowercase().starts_with(RESERVED);
    if good { Ok(()) } else { Err(BadRunId(run_id.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_name_runs() {
        let long = "x".repeat(64);
        for good in ["a", "0", "_", "20261123-101502-k3f9", "A.b_c-d", "a..b", &long] {
            assert_eq!(check_run_id(good), Ok(()), "{good:?}");
        }
        let longer = "x".repeat(65);
        let bad =
            ["", ".", "..", ".a", "-a", "--help", "a/b", "../a", "/a", "a b", "a\0", "a\n", "ä", "a\\b"];
        for bad in bad.into_iter().chain(["sortie.db", "sortie.db-wal", "Sortie.DB", &longer]) {
            assert!(check_run_id(bad).is_err(), "{bad:?}");
        }
    }
}
