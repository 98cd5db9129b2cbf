//! What the public face cannot show: that nodes go when their patterns do.

use std::rc::Rc;

use super::*;

#[derive(Clone)]
struct Sub(Rc<String>);

impl Interest for Sub {
    fn subject(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn queue(&self) -> &[u8] {
        &[]
    }

    fn id(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }
}

fn sub(pattern: String) -> Sub {
    Sub(Rc::new(pattern))
}

#[test]
fn churn_beside_a_lasting_pattern_leaves_nothing_behind() {
    let hashing = Hashing::new(1);
    let mut trie = Trie::new();
    let lasting = sub("_INBOX.*.a".into());
    trie.insert(lasting.clone(), &hashing);
    let nodes = trie.nodes.len();
    for n in 0..1_000 {
        for pattern in [format!("_INBOX.{n}.*"), format!("_INBOX.*.{n}.>"), format!("{n}.>")] {
            let passing = sub(pattern);
            trie.insert(passing.clone(), &hashing);
            trie.remove(&passing, &hashing);
            assert_eq!(trie.nodes.len() - trie.free.len(), nodes);
        }
    }
    assert_eq!(trie.edges.len(), 2, "`_INBOX` and `a`");
    assert!(trie.nodes.len() < nodes + 4, "freed nodes are used again");
    trie.remove(&lasting, &hashing);
    assert!(trie.is_empty() && trie.edges.is_empty() && trie.free.is_empty());
}

#[test]
fn a_missing_pattern_is_not_removed() {
    let hashing = Hashing::new(1);
    let mut trie = Trie::new();
    trie.insert(sub("a.*.b".into()), &hashing);
    for missing in ["a.*", "a.*.c", "a.*.b.>", "*.b", "a.*.b"] {
        assert!(!trie.remove(&sub(missing.into()), &hashing).is_done(), "{missing}");
    }
    assert_eq!(trie.nodes.len() - trie.free.len(), 4);
}
