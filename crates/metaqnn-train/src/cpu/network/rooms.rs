//! Which gradients share room: those that are not needed at the same time.

/// A gradient on the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gradient {
    /// Its signal.
    pub(super) signal: usize,
    /// Its numbers.
    pub(super) size: usize,
    /// The step that makes the signal, and so takes the gradient.
    pub(super) taken: usize,
    /// The last step that reads the signal, and so begins the gradient.
    pub(super) begun: usize,
}

impl Gradient {
    fn meets(&self, other: &Gradient) -> bool {
        self.taken <= other.begun && other.taken <= self.begun
    }
}

/// The rooms' sizes, and the room of each gradient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rooms {
    pub(super) sizes: Vec<usize>,
    pub(super) of: Vec<usize>,
}

impl Rooms {
    /// The best of some plans. Of a chain it takes no more than two rooms that are used in turn.
    pub(super) fn plan(gradients: &[Gradient]) -> Self {
        let mut in_time: Vec<usize> = (0..gradients.len()).collect();
        in_time.sort_by_key(|&index| std::cmp::Reverse((gradients[index].begun, gradients[index].signal)));
        let mut by_size = in_time.clone();
        by_size.sort_by_key(|&index| std::cmp::Reverse(gradients[index].size));
        let plans = [
            Self::in_order(gradients, &in_time, |_| None),
            Self::in_order(gradients, &by_size, |_| None),
            Self::in_order(gradients, &in_time, |gradient| Some(gradient.signal % 2)),
        ];
        plans.into_iter().min_by_key(|plan| plan.sizes.iter().sum::<usize>()).unwrap_or_default()
    }

    /// Gives each gradient in turn the wished room where it is free, else the free one that grows least, else a new one.
    fn in_order(gradients: &[Gradient], order: &[usize], wish: impl Fn(&Gradient) -> Option<usize>) -> Self {
        let mut plan = Rooms { sizes: Vec::new(), of: vec![usize::MAX; gradients.len()] };
        for &index in order {
            let gradient = &gradients[index];
            let wished = wish(gradient);
            plan.sizes.resize(plan.sizes.len().max(wished.map_or(0, |room| room + 1)), 0);
            let is_free = |room: &usize| {
                let inside = (0..gradients.len()).filter(|&other| plan.of[other] == *room);
                inside.into_iter().all(|other| !gradient.meets(&gradients[other]))
            };
            let growth = |room: &usize| gradient.size.saturating_sub(plan.sizes[*room]);
            let free = (0..plan.sizes.len()).filter(is_free);
            let room = match wished.filter(is_free) {
                Some(room) => room,
                None => free.min_by_key(growth).unwrap_or(plan.sizes.len()),
            };
            plan.sizes.resize(plan.sizes.len().max(room + 1), 0);
            plan.sizes[room] = plan.sizes[room].max(gradient.size);
            plan.of[index] = room;
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The numbers of two rooms that the signals of a chain use in turn.
    fn in_turn(gradients: &[Gradient]) -> usize {
        let of = |parity| gradients.iter().filter(move |gradient| gradient.signal % 2 == parity);
        [0, 1].iter().map(|&parity| of(parity).map(|gradient| gradient.size).max().unwrap_or(0)).sum()
    }

    fn check(gradients: &[Gradient]) -> Rooms {
        let rooms = Rooms::plan(gradients);
        for (index, gradient) in gradients.iter().enumerate() {
            assert!(rooms.sizes[rooms.of[index]] >= gradient.size);
            for (other, earlier) in gradients[..index].iter().enumerate() {
                assert!(rooms.of[index] != rooms.of[other] || !gradient.meets(earlier), "{gradient:?}, {earlier:?}");
            }
        }
        rooms
    }

    proptest! {
        #[test]
        fn what_is_needed_at_the_same_time_has_other_rooms(
            ends in proptest::collection::vec((0_usize..20, 0_usize..8, 1_usize..1000), 0..20)
        ) {
            let gradients: Vec<Gradient> = ends
                .iter()
                .enumerate()
                .map(|(signal, &(taken, steps, size))| Gradient { signal, size, taken, begun: taken + 1 + steps })
                .collect();
            check(&gradients);
        }

        #[test]
        fn a_chain_takes_no_more_than_two_rooms_in_turn(
            signals in proptest::collection::vec(proptest::option::of(1_usize..1000), 0..20)
        ) {
            let gradients: Vec<Gradient> = signals
                .iter()
                .enumerate()
                .filter_map(|(index, size)| {
                    size.map(|size| Gradient { signal: index + 1, size, taken: index, begun: index + 1 })
                })
                .collect();
            let rooms = check(&gradients);
            prop_assert!(rooms.sizes.iter().sum::<usize>() <= in_turn(&gradients));
        }
    }
}
