//! Names of quantities that are logged beside the entropy, and the keys under which trainers log them.

/// A quantity that is logged beside the entropy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedQuantity {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Its unit, if it has one in all trainers.
    pub unit: Option<&'static str>,
    /// Keys that trainers log it under, the best first.
    pub keys: &'static [&'static str],
}

/// The quantities with a name. The keys come from the source code of the trainers in 2026.
pub const QUANTITIES: [NamedQuantity; 8] = [
    NamedQuantity { name: "reward", description: "mean reward", unit: None, keys: &REWARDS },
    NamedQuantity {
        name: "kl",
        description: "KL to the reference policy",
        unit: Some("nats"),
        keys: &[
            "kl",                 // TRL
            "train/kl",           // TRL through W&B or TensorBoard, OpenRLHF
            "actor/kl_loss",      // verl, EasyR1
            "train/kl_loss",      // slime
            "policy/policy_kl",   // SkyRL
            "objective/kl_avg",   // open-instruct
            "objective/kl",       // TRL PPO
            "train/objective/kl", // TRL PPO through W&B or TensorBoard
        ],
    },
    NamedQuantity {
        name: "ppo_kl",
        description: "KL of the update: old policy to new",
        unit: Some("nats"),
        keys: &[
            "actor/ppo_kl",        // verl, EasyR1
            "train/ppo_kl",        // slime, OpenRLHF
            "train/approx_kl",     // Stable-Baselines3
            "losses/approx_kl",    // CleanRL
            "policy/approxkl_avg", // TRL PPO
        ],
    },
    NamedQuantity {
        name: "mismatch_kl",
        description: "KL of the sampler to the trainer",
        unit: Some("nats"),
        keys: &[
            "mismatch_kl/all/mean", // prime-rl
            "rollout_corr/kl",      // verl
            "Mismatch KL",          // prime-rl's console
        ],
    },
    NamedQuantity {
        name: "length",
        description: "mean tokens of a response",
        unit: Some("tokens"),
        keys: &[
            "response_length/mean",          // verl, EasyR1
            "completions/mean_length",       // TRL
            "train/completions/mean_length", // TRL through W&B or TensorBoard
            "completion_length",             // older TRL
            "response_length",               // OpenRLHF
            "train/response_length",         // OpenRLHF through W&B or TensorBoard
            "rollout/response_len/mean",     // slime
            "generate/avg_num_tokens",       // SkyRL
            "seq_len/all/mean",              // prime-rl
            "val/sequence_lengths",          // open-instruct
            "rollout/ep_len_mean",           // Stable-Baselines3
            "charts/episodic_length",        // CleanRL
        ],
    },
    NamedQuantity {
        name: "clip",
        description: "share of clipped tokens",
        unit: Some("share of tokens"),
        keys: &[
            "actor/pg_clipfrac",            // verl, EasyR1
            "clip_ratio/region_mean",       // TRL
            "train/clip_ratio/region_mean", // TRL through W&B or TensorBoard
            "clip_ratio",                   // older TRL
            "train/pg_clipfrac",            // slime
            "train/ppo_clip_ratio",         // OpenRLHF
            "policy/ppo_clip_ratio",        // SkyRL
            "policy/clipfrac_avg",          // open-instruct, TRL PPO
            "train/clip_fraction",          // Stable-Baselines3
            "losses/clipfrac",              // CleanRL
        ],
    },
    NamedQuantity {
        name: "lr",
        description: "learning rate",
        unit: None,
        keys: &[
            "actor/lr",             // verl, EasyR1
            "learning_rate",        // TRL
            "train/learning_rate",  // TRL through W&B or TensorBoard, Stable-Baselines3
            "optim/lr",             // prime-rl
            "policy/policy_lr",     // SkyRL
            "train/actor_lr",       // OpenRLHF
            "lr",                   // open-instruct
            "charts/learning_rate", // CleanRL
        ],
    },
    NamedQuantity {
        name: "grad_norm",
        description: "norm of the gradient",
        unit: None,
        keys: &[
            "actor/grad_norm", // verl, EasyR1
            "grad_norm",       // TRL
            "train/grad_norm", // TRL through W&B or TensorBoard, slime
            "optim/grad_norm", // prime-rl
        ],
    },
];

/// Keys that trainers log the mean reward of a step under.
pub(crate) const REWARDS: [&str; 18] = [
    "reward",                          // TRL
    "train/reward",                    // TRL through W&B or TensorBoard
    "critic/rewards/mean",             // verl, with its penalties
    "critic/score/mean",               // verl, without
    "reward/overall",                  // EasyR1, R-Zero
    "reward/all/mean",                 // prime-rl
    "reward/mean",                     // SkyRL, AReaL
    "objective/scores",                // open-instruct, TRL PPO
    "rollout/ep_rew_mean",             // Stable-Baselines3
    "rollout/raw_reward",              // slime
    "episode_reward_mean",             // RLlib
    "charts/episodic_return",          // CleanRL
    "reward/_mean",                    // torchtitan
    "rollout/rewards",                 // RLinf
    "ppo_actor/task_reward/avg",       // AReaL
    "env_runners/episode_return_mean", // RLlib
    "reward/avg_raw_reward",           // SkyRL
    "Train/mean_reward",               // rsl_rl
];

/// The quantity with this name.
pub fn named(name: &str) -> Option<&'static NamedQuantity> {
    QUANTITIES.iter().find(|quantity| quantity.name == name)
}

/// The keys to search for: those of a named quantity, then the text itself as a key or glob.
pub fn keys_of(text: &str) -> Vec<String> {
    let known = named(text).map_or(&[][..], |quantity| quantity.keys);
    let own = (!known.contains(&text)).then_some(text);
    known.iter().copied().chain(own).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_keys_and_other_texts_for_themselves() {
        assert!(keys_of("length").contains(&"completions/mean_length".to_owned()));
        assert_eq!(keys_of("length").last().unwrap(), "length", "a log may have this key");
        assert_eq!(keys_of("kl").iter().filter(|key| *key == "kl").count(), 1);
        assert_eq!(keys_of("critic/*"), ["critic/*"]);
        let mut names: Vec<&str> = QUANTITIES.iter().map(|quantity| quantity.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), QUANTITIES.len());
    }
}
