//! Numbers of subjects in the order of the subjects' texts, so that a prefix is a range.
//!
//! Runs of bounded length: an insertion moves no more than one of them.

/// Numbers in a run (count).
const RUN_LEN: usize = if cfg!(test) { 4 } else { 512 };

#[derive(Default)]
pub(super) struct Order {
    /// None is empty.
    runs: Vec<Vec<u32>>,
}

impl Order {
    /// Inserts `id` behind all that `is_before` it; those come first.
    pub(super) fn insert(&mut self, id: u32, is_before: impl Fn(u32) -> bool) {
        let (run, at) = self.lower_bound(is_before);
        let Some(ids) = self.runs.get_mut(run) else {
            self.runs.push(vec![id]);
            return;
        };
        if ids.len() < RUN_LEN {
            ids.insert(at, id);
        } else if at == RUN_LEN {
            // Texts that ascend fill their runs.
            self.runs.insert(run + 1, vec![id]);
        } else {
            let mut upper = ids.split_off(RUN_LEN / 2);
            if at <= RUN_LEN / 2 {
                ids.insert(at, id);
            } else {
                upper.insert(at - RUN_LEN / 2, id);
            }
            ids.shrink_to_fit();
            self.runs.insert(run + 1, upper);
        }
    }

    /// Removes `id`, which stands behind all that `is_before` it.
    pub(super) fn remove(&mut self, id: u32, is_before: impl Fn(u32) -> bool) {
        let (mut run, mut at) = self.lower_bound(is_before);
        if self.runs.get(run).is_some_and(|ids| at == ids.len()) {
            (run, at) = (run + 1, 0);
        }
        let Some(ids) = self.runs.get_mut(run) else { return };
        debug_assert_eq!(ids[at], id, "it stands where its text belongs");
        ids.remove(at);
        let len = ids.len();
        if len == 0 {
            self.runs.remove(run);
        } else if self.runs.get(run + 1).is_some_and(|next| len + next.len() <= RUN_LEN / 4) {
            let next = self.runs.remove(run + 1);
            self.runs[run].extend(next);
            self.runs[run].shrink_to_fit();
        }
    }

    /// Those that are not `is_before`, in order.
    pub(super) fn iter_from(&self, is_before: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
        let (run, at) = self.lower_bound(is_before);
        let rest = self.runs.get(run..).unwrap_or_default();
        rest.iter().flatten().skip(at).copied()
    }

    /// The run and the index in it behind the last that `is_before`.
    fn lower_bound(&self, is_before: impl Fn(u32) -> bool) -> (usize, usize) {
        let run = self.runs.partition_point(|ids| is_before(ids[0])).saturating_sub(1);
        let at = self.runs.get(run).map_or(0, |ids| ids.partition_point(|&id| is_before(id)));
        (run, at)
    }
}
