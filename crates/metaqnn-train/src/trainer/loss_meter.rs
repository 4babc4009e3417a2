//! The loss of an epoch while it goes on.

use crate::burn_engine::PendingLoss;
use crate::learner::StepLoss;

/// The mean loss of an epoch, summed up on the device and read from it as seldom as may be.
#[derive(Default)]
pub(super) struct LossMeter {
    pending: Option<PendingLoss>,
    sum: f64,
    images: usize,
}

impl LossMeter {
    pub(super) fn add(&mut self, loss: StepLoss, images: usize) {
        match loss {
            StepLoss::Known(loss) => self.sum += f64::from(loss) * images as f64,
            StepLoss::Pending(loss) => {
                let loss = loss.times(images as f64);
                self.pending = Some(match self.pending.take() {
                    Some(pending) => pending.plus(loss),
                    None => loss,
                });
            }
        }
        self.images += images;
    }

    /// The mean until now; not finite where any loss was not.
    pub(super) fn read(&mut self) -> f64 {
        if let Some(pending) = self.pending.take() {
            self.sum += f64::from(pending.value());
        }
        self.sum / self.images.max(1) as f64
    }
}
