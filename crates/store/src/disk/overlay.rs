//! A disk that is only looked at: what is written to it stays in memory, and files below it are as
//! they were. So a store can be opened by the code that ships, and nothing of it changes.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, File, read_up_to};

/// A file that is not below.
type Own = Arc<Mutex<Vec<u8>>>;

/// What a name stands for, where that is not what is below it.
#[derive(Clone)]
enum Node {
    Gone,
    Own(Own),
    /// A file below that had another name.
    Below(PathBuf),
}

type Nodes = Arc<Mutex<HashMap<PathBuf, Node>>>;

/// A disk over another.
#[derive(Clone)]
pub struct Overlay<D> {
    below: D,
    nodes: Nodes,
}

impl<D> Overlay<D> {
    /// Nothing was written yet.
    pub fn new(below: D) -> Self {
        Self { below, nodes: Arc::default() }
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<PathBuf, Node>> {
        lock(&self.nodes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl<D: Disk> Disk for Overlay<D> {
    type File = OverlayFile<D::File>;
    type Lock = Option<D::Lock>;

    fn create(&self, path: &Path) -> io::Result<Self::File> {
        let mut nodes = self.nodes();
        let is_there = match nodes.get(path) {
            Some(Node::Gone) => false,
            Some(Node::Own(_) | Node::Below(_)) => true,
            None => self.below.open(path).is_ok(),
        };
        if is_there {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let own = Own::default();
        nodes.insert(path.to_owned(), Node::Own(own.clone()));
        Ok(OverlayFile {
            below: None,
            own: Mutex::new(Some(own)),
            path: path.to_owned(),
            nodes: self.nodes.clone(),
        })
    }

    fn open(&self, path: &Path) -> io::Result<Self::File> {
        let node = self.nodes().get(path).cloned();
        let (below, own) = match node {
            Some(Node::Gone) => return Err(missing()),
            Some(Node::Own(own)) => (None, Some(own)),
            Some(Node::Below(other)) => (Some(self.below.open(&other)?), None),
            None => (Some(self.below.open(path)?), None),
        };
        let (path, nodes) = (path.to_owned(), self.nodes.clone());
        Ok(OverlayFile { below, own: Mutex::new(own), path, nodes })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut nodes = self.nodes();
        let node = match nodes.get(from).cloned() {
            Some(Node::Gone) => return Err(missing()),
            Some(node) => node,
            None => {
                self.below.open(from)?;
                Node::Below(from.to_owned())
            }
        };
        nodes.insert(from.to_owned(), Node::Gone);
        nodes.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut nodes = self.nodes();
        match nodes.get(path) {
            Some(Node::Gone) => return Err(missing()),
            Some(_) => {}
            None => drop(self.below.open(path)?),
        }
        nodes.insert(path.to_owned(), Node::Gone);
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let nodes = self.nodes();
        let below = self.below.list(folder);
        let here = nodes.iter().filter(|(path, _)| path.parent() == Some(folder));
        let here: Vec<_> = here
            .filter_map(|(path, node)| {
                Some((path.file_name()?.to_str()?.to_owned(), !matches!(node, Node::Gone)))
            })
            .collect();
        if here.is_empty() {
            return below;
        }
        let mut names: BTreeSet<String> = below.unwrap_or_default().into_iter().collect();
        for (name, is_there) in here {
            if is_there {
                names.insert(name);
            } else {
                names.remove(&name);
            }
        }
        Ok(names.into_iter().collect())
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Where there is no file to lock nobody has locked it, and none is made.
    fn lock(&self, path: &Path) -> io::Result<Self::Lock> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_there = self.below.list(folder)?.iter().any(|other| other == name);
        if is_there { self.below.lock(path).map(Some) } else { Ok(None) }
    }
}

/// A file of an [`Overlay`].
pub struct OverlayFile<F> {
    below: Option<F>,
    /// What it is since it was written to.
    own: Mutex<Option<Own>>,
    path: PathBuf,
    nodes: Nodes,
}

impl<F: File> OverlayFile<F> {
    /// Its bytes here; they are copied when they are written to for the first time.
    fn own(&self) -> io::Result<Own> {
        let mut own = lock(&self.own);
        if let Some(own) = &*own {
            return Ok(own.clone());
        }
        let bytes = match &self.below {
            Some(below) => read_up_to(below, 0, below.bytes()? as usize)?,
            None => Vec::new(),
        };
        let copied = Arc::new(Mutex::new(bytes));
        lock(&self.nodes).insert(self.path.clone(), Node::Own(copied.clone()));
        *own = Some(copied.clone());
        Ok(copied)
    }

    fn with<T>(
        &self,
        here: impl FnOnce(&[u8]) -> T,
        below: impl FnOnce(&F) -> io::Result<T>,
    ) -> io::Result<T> {
        match (&*lock(&self.own), &self.below) {
            (Some(own), _) => Ok(here(&lock(own))),
            (None, Some(file)) => below(file),
            (None, None) => Ok(here(&[])),
        }
    }
}

impl<F: File> File for OverlayFile<F> {
    fn bytes(&self) -> io::Result<u64> {
        self.with(|own| own.len() as u64, File::bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        // One of the two is called.
        let buffer = std::cell::RefCell::new(buffer);
        self.with(
            |own| {
                let rest = own.get(offset as usize..).unwrap_or_default();
                let buffer = &mut *buffer.borrow_mut();
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                count
            },
            |below| below.read_at(&mut buffer.borrow_mut(), offset),
        )
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let own = self.own()?;
        let mut own = lock(&own);
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if own.len() < end {
            own.resize(end, 0);
        }
        own[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn write_durably_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let own = self.own()?;
        lock(&own).resize(bytes as usize, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::real::RealDisk;

    #[test]
    fn what_is_below_stays_as_it_is() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("one"), b"below")?;
        let disk = Overlay::new(RealDisk::new(folder.path())?);
        let (one, two, top) = (Path::new("one"), Path::new("two"), Path::new(""));
        assert!(disk.create(one).is_err());
        let file = disk.open(one)?;
        assert_eq!(read_up_to(&file, 0, 9)?, b"below");
        file.write_at(b"x", 7)?;
        assert_eq!(read_up_to(&file, 0, 9)?, b"below\0\0x");
        assert_eq!(read_up_to(&disk.open(one)?, 0, 9)?, b"below\0\0x");
        file.truncate(2)?;
        disk.rename(one, two)?;
        assert_eq!(disk.list(top)?, ["two"]);
        assert_eq!(read_up_to(&disk.open(two)?, 0, 9)?, b"be");
        disk.create(one)?.write_at(b"new", 0)?;
        assert_eq!(disk.list(top)?, ["one", "two"]);
        disk.remove(two)?;
        assert!(disk.open(two).is_err());
        assert!(disk.lock(Path::new("lock"))?.is_none());
        assert_eq!(std::fs::read(folder.path().join("one"))?, b"below");
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }
}
