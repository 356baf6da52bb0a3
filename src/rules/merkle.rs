//! The Merkle tree over the events of one interval, as RFC 6962 has it: a leaf is `chain::leaf`, a node hashes the byte 1 and
//! its two children. A path of a few hashes then proves that one event stands in the interval. Pure hashing.

use sha2::{Digest, Sha256};

use crate::units::ids::Digest32;

/// A tree that grows by leaves and keeps only the roots of its full parts: some dozens of hashes, whatever its size.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// Full parts from left to right, largest first: one for each bit of the size.
    peaks: Vec<Digest32>,
}

impl Tree {
    pub fn push(&mut self, leaf: Digest32) {
        let mut whole = leaf;
        // Each trailing one of the size is a part as large as the one that grows here.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            whole = node(&left, &whole);
        }
        self.peaks.push(whole);
        self.size += 1;
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Of no leaf it is the hash of nothing.
    pub fn root(&self) -> Digest32 {
        let mut parts = self.peaks.iter().rev();
        let Some(last) = parts.next() else { return Digest32(Sha256::digest([]).into()) };
        parts.fold(*last, |right, left| node(left, &right))
    }
}

impl FromIterator<Digest32> for Tree {
    fn from_iter<I: IntoIterator<Item = Digest32>>(leaves: I) -> Self {
        let mut tree = Self::default();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}

fn node(left: &Digest32, right: &Digest32) -> Digest32 {
    Digest32(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The hashes beside the way from leaf `at` to the root, from below. Empty if there is no such leaf.
pub fn path(leaves: &[Digest32], at: usize) -> Vec<Digest32> {
    if leaves.len() < 2 || at >= leaves.len() {
        return Vec::new();
    }
    let middle = split(leaves.len() as u64) as usize;
    let (left, right) = leaves.split_at(middle);
    let root = |part: &[Digest32]| part.iter().copied().collect::<Tree>().root();
    let (mut below, beside) =
        if at < middle { (path(left, at), root(right)) } else { (path(right, at - middle), root(left)) };
    below.push(beside);
    below
}

/// The root that a leaf and its path lead to, in a tree of `size`; `None` if the path has another length than it must.
pub fn climb(leaf: Digest32, at: u64, size: u64, path: &[Digest32]) -> Option<Digest32> {
    if at >= size {
        return None;
    }
    let Some((beside, below)) = path.split_last() else { return (size == 1).then_some(leaf) };
    if size == 1 {
        return None;
    }
    let middle = split(size);
    match at < middle {
        true => Some(node(&climb(leaf, at, middle, below)?, beside)),
        false => Some(node(beside, &climb(leaf, at - middle, size - middle, below)?)),
    }
}

/// The largest power of two below `size`, which is 2 or more.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::chain::leaf;

    /// RFC 6962, section 2.1, as it is written there.
    fn by_the_book(leaves: &[Digest32]) -> Digest32 {
        match leaves {
            [] => Digest32(Sha256::digest([]).into()),
            [one] => *one,
            _ => {
                let mut k = 1;
                while k * 2 < leaves.len() {
                    k *= 2;
                }
                node(&by_the_book(&leaves[..k]), &by_the_book(&leaves[k..]))
            }
        }
    }

    fn leaves(count: usize) -> Vec<Digest32> {
        (0..count).map(|n| leaf(&[n as u8])).collect()
    }

    #[test]
    fn every_size_and_every_path() {
        for size in 0..=70 {
            let leaves = leaves(size);
            let root = leaves.iter().copied().collect::<Tree>().root();
            assert_eq!(root, by_the_book(&leaves), "{size}");
            for at in 0..size {
                let way = path(&leaves, at);
                let climbed = |leaf, at: usize, size: usize, way: &[_]| climb(leaf, at as u64, size as u64, way);
                assert_eq!(climbed(leaves[at], at, size, &way), Some(root), "{at} of {size}");
                assert_ne!(climbed(leaf(b"x"), at, size, &way), Some(root), "another leaf");
                for other in (0..size).filter(|other| *other != at) {
                    assert_ne!(climbed(leaves[at], other, size, &way), Some(root), "{at} as {other} of {size}");
                }
                let longer = [&way[..], &[root]].concat();
                assert_ne!(climbed(leaves[at], at, size, &longer), Some(root));
                assert!(way.is_empty() || climbed(leaves[at], at, size, &way[1..]) != Some(root));
            }
            assert_eq!(climb(root, size as u64, size as u64, &[]), None, "beyond the end");
        }
    }

    /// The roots of Certificate Transparency's own test vectors.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let root = |n: usize| inputs[..n].iter().map(|i| leaf(i)).collect::<Tree>().root().to_string();
        assert_eq!(root(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(root(7), "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c");
        assert_eq!(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }
}
