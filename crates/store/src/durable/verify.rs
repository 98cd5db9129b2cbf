//! Reading every record of a stream, whether it is asked for or not.

use super::Durable;
use crate::disk::Disk;
use crate::segment::Extent;

impl<D: Disk + Clone> Durable<D> {
    /// Reads and checks all that its segments hold; gives how many records there are, and what is not
    /// as it was written beside what opening it found. `progress` gets the bytes of each segment.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> (u64, Vec<String>) {
        let (mut records, mut damage) = (0, Vec::new());
        for part in &self.parts {
            let Some(segment) = &part.segment else { continue };
            let extent = if part.is_sealed { Extent::Sealed } else { Extent::Until(part.written) };
            let path = part.path(&self.folder);
            match segment.verify(extent, part.first_seq..=part.last_seq) {
                Ok(found) => {
                    records += found.records;
                    let is_new =
                        |offset: &u64| part.holes.iter().all(|hole| hole.offset != *offset);
                    let holes = found.holes.into_iter().filter(is_new);
                    damage.extend(holes.map(|offset| {
                        format!("{}: the record at {offset} is damaged", path.display())
                    }));
                    if !found.index_is_right {
                        damage.push(format!(
                            "{}: its index is not that of its records",
                            path.display()
                        ));
                    }
                }
                Err(error) => damage.push(error.to_string()),
            }
            progress(part.written);
        }
        (records, damage)
    }
}
