//! The sections of an analysis, and why a dump lacks one.

use entropy_history::dump::column_names::has_word;
use serde::Serialize;

use super::{AnalysisOptions, OutcomeRule, StepAnalysis};
use crate::table::TokenTable;

/// A part of an analysis that not every dump can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Distribution, positions and forking tokens.
    Entropy,
    /// Forking tokens.
    Forking,
    /// By turn.
    Turn,
    /// By role.
    Role,
    /// By outcome.
    Outcome,
    /// By difficulty of the prompt.
    Difficulty,
    /// Covariance of log-prob and advantage.
    Covariance,
    /// Scored against the sampler's log-probs.
    Mismatch,
    /// Diversity of responses.
    Diversity,
    /// Final answers.
    Answers,
    /// pass@k.
    PassAtK,
    /// By the chosen column.
    Column,
}

impl Section {
    /// The section in words.
    pub fn words(self) -> &'static str {
        match self {
            Section::Entropy => "entropies",
            Section::Forking => "forking tokens",
            Section::Turn => "by turn",
            Section::Role => "by role",
            Section::Outcome => "by outcome",
            Section::Difficulty => "by difficulty",
            Section::Covariance => "covariance",
            Section::Mismatch => "mismatch",
            Section::Diversity => "diversity",
            Section::Answers => "answers",
            Section::PassAtK => "pass@k",
            Section::Column => "by column",
        }
    }
}

/// A section that no step has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The section.
    pub section: Section,
    /// Why it is missing.
    pub reason: String,
}

/// The largest number of columns that are named as candidates.
const MAX_CANDIDATES: usize = 8;

/// The sections that no step has.
pub(super) fn missing(
    table: &TokenTable,
    steps: &[StepAnalysis],
    outcome: Option<OutcomeRule>,
    options: &AnalysisOptions,
) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut check = |section, has: &dyn Fn(&StepAnalysis) -> bool, reason: &str| {
        if !steps.iter().any(has) {
            missing.push(Missing { section, reason: reason.to_owned() });
        }
    };
    let has_rewards = steps.iter().any(|step| step.mean_reward.is_some());
    let candidates = reward_candidates(table.columns());
    let no_rewards = match candidates.is_empty() {
        true => "no rewards; name their column with --reward".to_owned(),
        false => format!("no rewards; name one with --reward: {}", candidates.join(", ")),
    };
    let no_rewards = no_rewards.as_str();
    let equal = "the rewards of each prompt's responses are equal";
    let bound = options.right_above;
    let one_side = format!("no reward is on the other side of {bound}; set --right-above");
    check(Section::Entropy, &|step| step.entropy.is_some(), "no list of entropies");
    if steps.iter().any(|step| step.entropy.is_some()) {
        check(
            Section::Forking,
            &|step| !step.forking.is_empty(),
            "no token occurs 20 times in a step",
        );
    }
    check(Section::Turn, &|step| !step.by_turn.is_empty(), "no column \"turn\"");
    check(Section::Role, &|step| !step.by_role.is_empty(), "no column \"role\"");
    let why_no_outcome = if has_rewards { equal } else { no_rewards };
    check(Section::Outcome, &|step| !step.by_outcome.is_empty(), why_no_outcome);
    let why_no_rate = match (has_rewards, outcome) {
        (false, _) => no_rewards,
        (true, _) => &one_side,
    };
    check(Section::Difficulty, &|step| !step.by_difficulty.is_empty(), why_no_rate);
    let has_log_probs = !table.names().scored.is_empty();
    let has_groups = steps.iter().any(|step| step.diversity.is_some());
    let why_no_covariance = match (has_log_probs, has_rewards) {
        (false, _) => "no scored log-probs",
        (true, false) if candidates.is_empty() => {
            "neither advantages nor rewards; name the rewards with --reward"
        }
        (true, false) => "neither advantages nor rewards",
        (true, true) => "no prompt has two responses, and there are no advantages",
    };
    check(Section::Covariance, &|step| step.covariance.is_some(), why_no_covariance);
    let why_no_mismatch = match (has_log_probs, table.names().sampler.is_empty()) {
        (false, _) => "no scored log-probs",
        (true, true) => "no log-probs of the sampler, such as generation_logprobs",
        (true, false) => "no token has a scored and a sampled log-prob",
    };
    check(Section::Mismatch, &|step| step.mismatch.is_some(), why_no_mismatch);
    check(Section::Diversity, &|step| step.diversity.is_some(), "no prompt has two responses");
    if has_groups {
        let has_answers = |step: &StepAnalysis| {
            step.diversity.as_ref().is_some_and(|diversity| diversity.answers.is_some())
        };
        let reason = "no column of final answers; name it with --answer, or use --answer-regex";
        check(Section::Answers, &has_answers, reason);
        let has_passes = |step: &StepAnalysis| {
            step.diversity.as_ref().is_some_and(|diversity| !diversity.pass_at_k.is_empty())
        };
        check(Section::PassAtK, &has_passes, why_no_rate);
    }
    missing
}

/// The columns that may be rewards: TRL has one for each of its reward functions, such as `accuracy_reward`.
fn reward_candidates(columns: &[String]) -> Vec<&str> {
    let is_reward = |name: &&String| has_word(name, &["reward", "rewards", "score", "scores"]);
    columns.iter().filter(is_reward).map(String::as_str).take(MAX_CANDIDATES).collect()
}
