//! Writing a file in one pass: entries come in order of key, pages are written once and full, and
//! only the keys that lead to pages not yet complete are in memory. Several buckets may be open at
//! once; their pages then lie between each other's.

use std::io::{Seek, SeekFrom, Write};

use super::error::Error;
use super::layout::{
    BRANCH, BRANCH_ELEMENT_BYTES, BUCKET, BUCKET_HEADER_BYTES, FREELIST, KEY_BYTES_MAX, LEAF,
    LEAF_ELEMENT_BYTES, Meta, PAGE_BYTES, PAGE_HEADER_BYTES, VALUE_BYTES_MAX, header,
};

const PAGE: usize = PAGE_BYTES as usize;
/// The file's only transaction; the meta page beside its own counts one less.
const TRANSACTION: u64 = 2;
/// A branch has two children at least, however long their keys.
const CHILDREN_MIN: usize = 2;

/// A file on its way.
pub struct Writer<W> {
    out: W,
    /// Id of the next page.
    next: u64,
    /// Root entries of the buckets that are complete.
    buckets: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A bucket that takes entries. Given up unless [`Writer::close`] gets it back.
pub struct BucketWriter {
    name: Vec<u8>,
    tree: Tree,
}

/// Pages of one tree that are not written yet: a leaf, and a branch for each level above.
#[derive(Default)]
struct Tree {
    leaf: Elements,
    branches: Vec<Elements>,
    last: Option<Vec<u8>>,
}

/// A page's elements.
#[derive(Default)]
struct Elements {
    elements: Vec<Element>,
    /// Keys and values, one behind the other.
    data: Vec<u8>,
}

struct Element {
    flags: u32,
    key: u32,
    value: u32,
    page: u64,
}

impl Elements {
    fn bytes(&self) -> usize {
        PAGE_HEADER_BYTES + self.elements.len() * LEAF_ELEMENT_BYTES + self.data.len()
    }

    fn push(&mut self, flags: u32, key: &[u8], value: &[u8], page: u64) {
        let (key_bytes, value_bytes) = (key.len() as u32, value.len() as u32);
        self.elements.push(Element { flags, key: key_bytes, value: value_bytes, page });
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
    }

    fn first_key(&self) -> Vec<u8> {
        let len = self.elements.first().map_or(0, |element| element.key as usize);
        self.data[..len].to_vec()
    }

    /// The page `id` with these elements, as many pages long as it takes.
    fn encode(&self, id: u64, kind: u16) -> Vec<u8> {
        let pages = self.bytes().div_ceil(PAGE);
        let mut page = Vec::with_capacity(pages * PAGE);
        let count = self.elements.len() as u16;
        page.extend_from_slice(&header(id, kind, count, pages as u32 - 1));
        let mut at = self.elements.len() * LEAF_ELEMENT_BYTES;
        for element in &self.elements {
            // A position counts from the element that names it.
            let position = at as u32;
            match kind {
                LEAF => {
                    for part in [element.flags, position, element.key, element.value] {
                        page.extend_from_slice(&part.to_le_bytes());
                    }
                }
                _ => {
                    page.extend_from_slice(&position.to_le_bytes());
                    page.extend_from_slice(&element.key.to_le_bytes());
                    page.extend_from_slice(&element.page.to_le_bytes());
                }
            }
            at += (element.key + element.value) as usize;
            at -= LEAF_ELEMENT_BYTES;
        }
        page.extend_from_slice(&self.data);
        page.resize(pages * PAGE, 0);
        page
    }
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file at the beginning of `out`, which should buffer.
    pub fn new(mut out: W) -> Result<Self, Error> {
        let blank = vec![0; 2 * PAGE];
        out.seek(SeekFrom::Start(0))
            .and_then(|_| out.write_all(&blank))
            .map_err(Error::io("begin the file"))?;
        Ok(Self { out, next: 2, buckets: Vec::new() })
    }

    /// Begins a bucket. No other may have its name.
    pub fn bucket(&self, name: &str) -> BucketWriter {
        BucketWriter { name: name.into(), tree: Tree::default() }
    }

    /// Adds an entry, whose key comes after those before.
    pub fn put(
        &mut self,
        bucket: &mut BucketWriter,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Error> {
        self.add(&mut bucket.tree, 0, key, value)
    }

    /// Completes a bucket. One without entries takes no page of its own.
    pub fn close(&mut self, bucket: BucketWriter) -> Result<(), Error> {
        let mut value = vec![0; BUCKET_HEADER_BYTES];
        if bucket.tree.last.is_none() {
            value.extend_from_slice(&header(0, LEAF, 0, 0));
        } else {
            let root = self.close_tree(bucket.tree)?;
            value[..8].copy_from_slice(&root.to_le_bytes());
        }
        self.buckets.push((bucket.name, value));
        Ok(())
    }

    /// Completes the file. Returns `out` and how many bytes the file has.
    pub fn finish(mut self) -> Result<(W, u64), Error> {
        let mut buckets = std::mem::take(&mut self.buckets);
        buckets.sort_unstable();
        let mut tree = Tree::default();
        for (name, value) in buckets {
            self.add(&mut tree, BUCKET, &name, &value)?;
        }
        let root = self.close_tree(tree)?;
        let freelist = self.next;
        self.write(&Elements::default().encode(freelist, FREELIST))?;
        let meta = Meta {
            page_bytes: PAGE_BYTES,
            root,
            sequence: 0,
            freelist,
            pages: self.next,
            transaction: TRANSACTION,
        };
        let before = Meta { transaction: TRANSACTION - 1, ..meta };
        let metas = [meta.encode(0), before.encode(1)].concat();
        self.out
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.out.write_all(&metas))
            .and_then(|()| self.out.flush())
            .map_err(Error::io("complete the file"))?;
        Ok((self.out, self.next * u64::from(PAGE_BYTES)))
    }

    fn add(&mut self, tree: &mut Tree, flags: u32, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(Error::KeySize { bytes: key.len() });
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(Error::ValueSize { bytes: value.len() });
        }
        if tree.last.as_deref().is_some_and(|last| last >= key) {
            return Err(Error::OutOfOrder { key: String::from_utf8_lossy(key).into() });
        }
        let more = LEAF_ELEMENT_BYTES + key.len() + value.len();
        if !tree.leaf.elements.is_empty() && tree.leaf.bytes() + more > PAGE {
            let leaf = std::mem::take(&mut tree.leaf);
            self.complete(tree, 0, &leaf, LEAF)?;
        }
        tree.leaf.push(flags, key, value, 0);
        match &mut tree.last {
            Some(last) => {
                last.clear();
                last.extend_from_slice(key);
            }
            none => *none = Some(key.to_vec()),
        }
        Ok(())
    }

    /// Writes a page that is complete and names it in the branch above, at `level`.
    fn complete(
        &mut self,
        tree: &mut Tree,
        level: usize,
        page: &Elements,
        kind: u16,
    ) -> Result<(), Error> {
        let id = self.next;
        self.write(&page.encode(id, kind))?;
        let key = page.first_key();
        if tree.branches.len() == level {
            tree.branches.push(Elements::default());
        }
        let branch = &tree.branches[level];
        let full = branch.bytes() + BRANCH_ELEMENT_BYTES + key.len() > PAGE;
        if full && branch.elements.len() >= CHILDREN_MIN {
            let branch = std::mem::take(&mut tree.branches[level]);
            self.complete(tree, level + 1, &branch, BRANCH)?;
        }
        tree.branches[level].push(0, &key, &[], id);
        Ok(())
    }

    /// Writes what is left of a tree, from below, and returns its root.
    fn close_tree(&mut self, mut tree: Tree) -> Result<u64, Error> {
        let leaf = std::mem::take(&mut tree.leaf);
        let mut level = 0;
        if tree.branches.is_empty() {
            let root = self.next;
            self.write(&leaf.encode(root, LEAF))?;
            return Ok(root);
        }
        self.complete(&mut tree, 0, &leaf, LEAF)?;
        while level + 1 < tree.branches.len() {
            let branch = std::mem::take(&mut tree.branches[level]);
            self.complete(&mut tree, level + 1, &branch, BRANCH)?;
            level += 1;
        }
        let root = self.next;
        let top = std::mem::take(&mut tree.branches[level]);
        self.write(&top.encode(root, BRANCH))?;
        Ok(root)
    }

    fn write(&mut self, page: &[u8]) -> Result<(), Error> {
        self.out.write_all(page).map_err(Error::io("write a page"))?;
        self.next += (page.len() / PAGE) as u64;
        Ok(())
    }
}
