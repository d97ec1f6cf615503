//! Which responses the entropies belong to.

use serde::Serialize;

use entropy_shell::compute::DumpStep;
use entropy_tokens::Change;

/// Which responses a checkpoint was scored on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scoring {
    /// Those that it sampled: the dump of the next step.
    Own,
    /// Those of its step's dump, on which it was trained last.
    TrainedOn,
    /// All checkpoints score the responses of one file.
    Shared,
    /// A dump of tokens that was there.
    Given,
}

impl Scoring {
    pub(super) fn of(dump_step: Option<DumpStep>) -> Scoring {
        match dump_step {
            Some(DumpStep::Previous) => Scoring::Own,
            Some(DumpStep::Same) => Scoring::TrainedOn,
            None => Scoring::Shared,
        }
    }

    /// The step of the dump that the checkpoint of a step scores, if that is known.
    pub(super) fn dump_of(self, step: u64) -> Option<u64> {
        match self {
            Scoring::Own => step.checked_add(1),
            Scoring::TrainedOn | Scoring::Given => Some(step),
            Scoring::Shared => None,
        }
    }

    /// What was scored.
    pub(super) fn words(self) -> &'static str {
        match self {
            Scoring::Own => {
                "the checkpoint of step N is scored on the rollouts of step N + 1, which it sampled"
            }
            Scoring::TrainedOn => {
                "the checkpoint of step N is scored on the rollouts of step N, which the checkpoint before sampled"
            }
            Scoring::Shared => "all checkpoints are scored on the same responses",
            Scoring::Given => "the entropies are those of the dump",
        }
    }

    /// What a reader must bear in mind.
    pub(super) fn caution(self, main: &Change) -> Option<String> {
        match self {
            Scoring::TrainedOn => Some(
                "Each checkpoint is scored on rollouts that it was trained on last, and that the checkpoint before it sampled: \
                 the numbers are one update off the policy."
                    .to_owned(),
            ),
            Scoring::Shared => Some(
                "All checkpoints are scored on the same responses, which at most one of them sampled: the numbers say how sure \
                 each is about these texts, not about its own, and lengths, rewards and the mix cannot change."
                    .to_owned(),
            ),
            Scoring::Given if main.same_responses => Some(
                "Both steps have the same responses, which at most one of their policies sampled: lengths, rewards and the mix \
                 cannot change."
                    .to_owned(),
            ),
            Scoring::Own | Scoring::Given => None,
        }
    }
}
