//! A column of numbers that mostly lie close together: four bytes each, eight where they do not.

/// Numbers by index. Behind a base while their distances fit 32 bits, whole otherwise.
#[derive(Default)]
pub(super) struct Column {
    base: u64,
    values: Values,
}

enum Values {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl Column {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { base: 0, values: Values::Narrow(Vec::with_capacity(count)) }
    }

    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Narrow(values) => values.len(),
            Values::Wide(values) => values.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> u64 {
        match &self.values {
            Values::Narrow(values) => self.base + u64::from(values[index]),
            Values::Wide(values) => values[index],
        }
    }

    pub(super) fn push(&mut self, value: u64) {
        if self.len() == 0 {
            self.base = value;
        }
        let distance = self.distance(value);
        match &mut self.values {
            Values::Narrow(values) => match distance {
                Some(distance) => values.push(distance),
                None => self.widen().push(value),
            },
            Values::Wide(values) => values.push(value),
        }
    }

    pub(super) fn set(&mut self, index: usize, value: u64) {
        let distance = self.distance(value);
        match &mut self.values {
            Values::Narrow(values) => match distance {
                Some(distance) => values[index] = distance,
                None => self.widen()[index] = value,
            },
            Values::Wide(values) => values[index] = value,
        }
    }

    /// Puts numbers in at `index`, and moves what stands there.
    pub(super) fn insert_all(&mut self, index: usize, added: &[u64]) {
        let Some(lowest) = added.iter().copied().min() else { return };
        if self.len() == 0 {
            self.base = lowest;
        } else if lowest < self.base {
            self.lower_base(lowest);
        }
        let distances: Option<Vec<u32>> = added.iter().map(|&value| self.distance(value)).collect();
        match (&mut self.values, distances) {
            (Values::Narrow(values), Some(distances)) => {
                values.splice(index..index, distances);
            }
            (Values::Narrow(_), None) => {
                self.widen().splice(index..index, added.iter().copied());
            }
            (Values::Wide(values), _) => {
                values.splice(index..index, added.iter().copied());
            }
        }
    }

    /// Takes out what stands in this range, and gives back what it took.
    pub(super) fn cut(&mut self, range: std::ops::Range<usize>) {
        match &mut self.values {
            Values::Narrow(values) => {
                values.drain(range);
                values.shrink_to(values.len() * 2);
            }
            Values::Wide(values) => {
                values.drain(range);
                values.shrink_to(values.len() * 2);
            }
        }
    }

    /// The base becomes this number, which is lower.
    fn lower_base(&mut self, base: u64) {
        if let Values::Narrow(values) = &mut self.values {
            let by = self.base - base;
            let fits = |&value: &u32| u32::try_from(u64::from(value) + by).is_ok();
            if values.iter().all(fits) {
                for value in values.iter_mut() {
                    *value += by as u32;
                }
            } else {
                self.widen();
            }
        }
        self.base = base;
    }

    pub(super) fn truncate(&mut self, count: usize) {
        match &mut self.values {
            Values::Narrow(values) => values.truncate(count),
            Values::Wide(values) => values.truncate(count),
        }
    }

    /// The first index whose value is at least `value`; the values ascend.
    pub(super) fn lower_bound(&self, value: u64) -> usize {
        match &self.values {
            Values::Narrow(values) => {
                values.partition_point(|&distance| self.base + u64::from(distance) < value)
            }
            Values::Wide(values) => values.partition_point(|&other| other < value),
        }
    }

    fn distance(&self, value: u64) -> Option<u32> {
        value.checked_sub(self.base).and_then(|distance| u32::try_from(distance).ok())
    }

    fn widen(&mut self) -> &mut Vec<u64> {
        if let Values::Narrow(values) = &self.values {
            let whole = values.iter().map(|&distance| self.base + u64::from(distance)).collect();
            self.values = Values::Wide(whole);
        }
        match &mut self.values {
            Values::Wide(values) => values,
            Values::Narrow(_) => unreachable!("it was just widened"),
        }
    }
}
