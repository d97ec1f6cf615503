//! What a recurrent token mixer keeps of the tokens so far. Unlike keys and values, it does not grow with them.

use tch::{Kind, TchError, Tensor};

use super::mixer_spec::StateShape;
use crate::checkpoint::weights::TensorOptions;

/// The number type of states: rounding adds up over the tokens.
pub(super) const STATE_KIND: Kind = Kind::Float;

/// The state of one layer, by slot.
pub(super) struct RecurrentState {
    /// slots × heads × key dimension × value dimension, f32.
    pub(super) state: Tensor,
    /// The last inputs of the convolution: slots × (kernel - 1) × channels.
    pub(super) tail: Tensor,
}

impl RecurrentState {
    pub(super) fn new(
        slots: i64,
        shape: StateShape,
        options: TensorOptions,
    ) -> Result<RecurrentState, TchError> {
        let state = [&[slots][..], &shape.state].concat();
        let tail = [&[slots][..], &shape.tail].concat();
        Ok(RecurrentState {
            state: Tensor::f_zeros(state, (STATE_KIND, options.device))?,
            tail: Tensor::f_zeros(tail, (options.kind, options.device))?,
        })
    }

    /// Keeps only these slots, in this order.
    pub(super) fn retain(&mut self, slots: &Tensor) -> Result<(), TchError> {
        let slots = slots.f_to_device(self.state.device())?;
        self.state = self.state.f_index_select(0, &slots)?;
        self.tail = self.tail.f_index_select(0, &slots)?;
        Ok(())
    }
}

/// Bytes of a state for one sequence.
pub(super) fn bytes(shape: StateShape, kind: Kind) -> usize {
    shape.state.iter().product::<i64>() as usize * STATE_KIND.elt_size_in_bytes()
        + shape.tail.iter().product::<i64>() as usize * kind.elt_size_in_bytes()
}
