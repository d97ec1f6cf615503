//! The configurations of the runs of a log, as `inspect` lists them.

use serde::Serialize;

use entropy_history::label::visible;
use entropy_history::run_config::{ConfigEntries, ConfigValue, RunConfig, is_secret};
use entropy_shell::plural;

/// The configuration of a run.
#[derive(Serialize)]
pub(super) struct ListedConfig {
    /// The run, if the log has several.
    run: Option<String>,
    /// Number of keys.
    keys: usize,
    /// The files that it was read from.
    sources: Vec<String>,
    /// The keys and their values, if they are to be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<ConfigEntries>,
}

impl ListedConfig {
    /// The number of keys.
    pub(super) fn new(run: Option<String>, config: &RunConfig) -> ListedConfig {
        let (keys, sources) = (config.entries().len(), config.sources().to_vec());
        ListedConfig { run, keys, sources, values: None }
    }

    /// With the keys and values, apart from values that may be passwords.
    pub(super) fn with_values(self, config: &RunConfig) -> ListedConfig {
        let values = config.entries().iter().map(|(key, value)| {
            let value = if is_secret(key, value) { value.hidden() } else { value.clone() };
            (key.clone(), Some(value))
        });
        ListedConfig { values: Some(ConfigEntries(values.collect())), ..self }
    }

    fn describe(&self) -> String {
        let keys = plural(self.keys, "key", "keys");
        let run = self.run.as_ref().map_or(String::new(), |run| format!(" of {}", visible(run)));
        if self.keys == 0 {
            return format!(
                "  config  none{run}: neither the log nor the directory of the run has one\n"
            );
        }
        let sources: Vec<_> = self.sources.iter().map(|source| visible(source)).collect();
        let more = if self.values.is_none() { "; --config lists them" } else { "" };
        let mut text = format!("  config  {keys}{run} from {}{more}\n", sources.join(", "));
        for (key, value) in self.values.iter().flat_map(|entries| &entries.0) {
            let value = value.as_ref().map_or("", ConfigValue::text);
            text.push_str(&format!("    {}: {}\n", visible(key), visible(value)));
        }
        text
    }
}

/// The lines about the configurations of a log; several are counted unless their keys are listed.
pub(super) fn describe(configs: &[ListedConfig]) -> String {
    match configs {
        [first, _, ..] if first.values.is_none() => {
            format!("  config  of {} runs; --config lists them\n", configs.len())
        }
        configs => configs.iter().map(ListedConfig::describe).collect(),
    }
}
