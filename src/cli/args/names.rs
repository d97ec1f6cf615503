//! Names of runs and flags in messages.

/// The flags for which `true` stands.
pub(in crate::cli) fn given<const N: usize>(flags: [(bool, &'static str); N]) -> Vec<&'static str> {
    flags.into_iter().filter(|(is_given, _)| *is_given).map(|(_, flag)| flag).collect()
}

/// Up to 20 names in quotes, and the number of the others.
pub(in crate::cli) fn list(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
