//! The numbers of the format, and the meta page, which says where everything else begins.

use super::error::MetaError;

pub const PAGE_HEADER_BYTES: usize = 16;
pub const LEAF_ELEMENT_BYTES: usize = 16;
pub const BRANCH_ELEMENT_BYTES: usize = 16;
pub const BUCKET_HEADER_BYTES: usize = 16;
/// Bytes of a meta page that carry something, its header included.
pub const META_BYTES: usize = PAGE_HEADER_BYTES + 64;

/// Kinds of pages.
pub const BRANCH: u16 = 0x01;
pub const LEAF: u16 = 0x02;
pub const META: u16 = 0x04;
pub const FREELIST: u16 = 0x10;
/// Marks a leaf element whose value is a bucket.
pub const BUCKET: u32 = 0x01;
/// Stands for a freelist that is not written: all pages that nothing uses are free.
pub const NO_FREELIST: u64 = u64::MAX;
/// A freelist page with this count has the true one as its first element.
pub const COUNT_IS_FIRST: u16 = 0xffff;

/// What this program writes; etcd's on every platform with pages of this size.
pub const PAGE_BYTES: u32 = 4096;
/// Page sizes that a reader tries in turn when the first meta page is damaged.
pub const PAGE_SIZES: [u32; 8] = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
/// bbolt's own bounds.
pub const KEY_BYTES_MAX: usize = 32768;
pub const VALUE_BYTES_MAX: usize = (1 << 31) - 2;
/// Deeper than any tree that fits on a disk, with two keys per page at least.
pub const DEPTH_MAX: usize = 64;

const MAGIC: u32 = 0xed0c_daed;
const VERSION: u32 = 2;

/// What a meta page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    pub page_bytes: u32,
    /// The root bucket's first page, and its sequence, which nothing here uses.
    pub root: u64,
    pub sequence: u64,
    /// The page of the freelist, or [`NO_FREELIST`].
    pub freelist: u64,
    /// Pages in use: every page's id is below.
    pub pages: u64,
    pub transaction: u64,
}

impl Meta {
    /// Reads the meta page that `bytes` begin with, header included.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetaError> {
        let body = bytes.get(PAGE_HEADER_BYTES..META_BYTES).ok_or(MetaError::Missing)?;
        let small = |at: usize| u32_at(body, at);
        let large = |at: usize| u64_at(body, at);
        match (small(0), small(4)) {
            (MAGIC, VERSION) => {}
            (MAGIC, version) => return Err(MetaError::Version(version)),
            (magic, _) => return Err(MetaError::Magic(magic)),
        }
        if fnv(&body[..56]) != large(56) {
            return Err(MetaError::Checksum);
        }
        let meta = Self {
            page_bytes: small(8),
            root: large(16),
            sequence: large(24),
            freelist: large(32),
            pages: large(40),
            transaction: large(48),
        };
        if !PAGE_SIZES.contains(&meta.page_bytes) {
            return Err(MetaError::PageSize(meta.page_bytes));
        }
        let inside = |page: u64| (2..meta.pages).contains(&page);
        if !inside(meta.root) || !(meta.freelist == NO_FREELIST || inside(meta.freelist)) {
            return Err(MetaError::Pages(meta.pages));
        }
        Ok(meta)
    }

    /// The whole page `id`.
    pub fn encode(&self, id: u64) -> Vec<u8> {
        let mut page = header(id, META, 0, 0).to_vec();
        for small in [MAGIC, VERSION, self.page_bytes, 0] {
            page.extend_from_slice(&small.to_le_bytes());
        }
        for large in [self.root, self.sequence, self.freelist, self.pages, self.transaction] {
            page.extend_from_slice(&large.to_le_bytes());
        }
        let sum = fnv(&page[PAGE_HEADER_BYTES..]);
        page.extend_from_slice(&sum.to_le_bytes());
        page.resize(self.page_bytes as usize, 0);
        page
    }
}

/// A page's header.
pub fn header(id: u64, kind: u16, count: u16, overflow: u32) -> [u8; PAGE_HEADER_BYTES] {
    let mut bytes = [0; PAGE_HEADER_BYTES];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    bytes[8..10].copy_from_slice(&kind.to_le_bytes());
    bytes[10..12].copy_from_slice(&count.to_le_bytes());
    bytes[12..].copy_from_slice(&overflow.to_le_bytes());
    bytes
}

/// The number at `at`, which the caller knows to be inside.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The number at `at`, which the caller knows to be inside.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// FNV-1a of 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::{Meta, MetaError, NO_FREELIST, PAGE_BYTES, fnv};

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_meta_page_reads_back_and_every_flip_is_named() {
        let meta = Meta {
            page_bytes: PAGE_BYTES,
            root: 3,
            sequence: 0,
            freelist: NO_FREELIST,
            pages: 9,
            transaction: 7,
        };
        let page = meta.encode(1);
        assert_eq!(page.len(), PAGE_BYTES as usize);
        assert_eq!(Meta::decode(&page), Ok(meta));
        for at in 16..80 {
            let mut flipped = page.clone();
            flipped[at] ^= 0x10;
            let refused = Meta::decode(&flipped).expect_err("refused");
            match at {
                16..20 => assert!(matches!(refused, MetaError::Magic(_)), "{at}: {refused}"),
                20..24 => assert_eq!(refused, MetaError::Version(2 ^ (0x10 << (8 * (at - 20))))),
                _ => assert_eq!(refused, MetaError::Checksum, "{at}"),
            }
        }
        assert_eq!(Meta::decode(&page[..79]), Err(MetaError::Missing));
        let odd = Meta { page_bytes: 5000, ..meta }.encode(0);
        assert_eq!(Meta::decode(&odd), Err(MetaError::PageSize(5000)));
        let beyond = Meta { root: 9, ..meta }.encode(0);
        assert_eq!(Meta::decode(&beyond), Err(MetaError::Pages(9)));
    }
}
