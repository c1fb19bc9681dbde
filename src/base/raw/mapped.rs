//! Files of ours in memory. The kernel sends SIGBUS to who reads a page of a mapping that its file no longer has, or
//! that the disk does not give: of a server that would be the end, and of every download with it. So a handler puts a
//! page of zeros there and notes it, and whoever hands the bytes out asks [`is_broken`] before they leave. The kernel
//! itself, reading for a call, gets an error instead of a signal: [`touch`] finds the page then.
//!
//! The handler takes no lock and no memory: it walks a list whose entries are only ever added, and used again.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use memmap2::Mmap;

use crate::error::IoContext as _;
use crate::{Fault, durable};

/// Bytes of a file of ours that never changes, a blob or a pack, and what the file system says of it. Slices of them
/// share the mapping, which stays readable when the file is removed. Where the file is cut, or the disk fails,
/// [`is_broken`] tells.
pub fn map(path: &Path, size: Option<u64>) -> Result<(Bytes, Metadata), Fault> {
    let file = durable::open(path)?;
    let metadata = file.metadata().during("read", path)?;
    let length = metadata.len();
    if let Some(size) = size.filter(|size| *size != length) {
        return Err(Fault::damaged(path.to_string_lossy(), format!("the file has {length} bytes instead of {size}")));
    }
    if length == 0 {
        return Ok((Bytes::new(), metadata));
    }
    HANDLER.get_or_init(|| handle_faults().map_err(|e| e.raw_os_error()));
    if let Some(Err(code)) = HANDLER.get() {
        let source = code.map_or_else(|| io::ErrorKind::Other.into(), io::Error::from_raw_os_error);
        return Err(Fault::Kernel { call: "rt_sigaction", since: "2.2", source });
    }
    // SAFETY: the mapping is read-only and private to us, and the file behind it is written once, under a temporary
    // name, and never changed or cut by us after it got its final one: `base::durable` only renames and removes. Where
    // somebody else cuts it, or the disk fails, the handler puts zeros in the place of the page.
    let mapped = unsafe { Mmap::map(&file) }.during("map", path)?;
    Ok((Bytes::from_owner(Mapping::new(mapped)), metadata))
}

/// Number of pages that could not be read, in all mappings since the start.
pub fn breaks() -> u64 {
    BREAKS.load(SeqCst)
}

/// True if a page of these bytes could not be read: they are not what the file had.
pub fn is_broken(bytes: &[u8]) -> bool {
    if breaks() == 0 {
        return false;
    }
    let (start, end) = range_of(bytes);
    let table = table();
    let Some((_, region)) = table.mapped.range(..=start).next_back() else { return false };
    start < region.end.load(SeqCst) && start < region.broken_end.load(SeqCst) && region.broken_start.load(SeqCst) < end
}

/// Reads each page of these bytes up to the first that cannot be read, and notes that one.
pub fn touch(bytes: &[u8]) {
    let before = breaks();
    for page in bytes.chunks(page_size()) {
        // The page that the piece begins in, and the one that it ends in.
        for byte in page.first().into_iter().chain(page.last()) {
            // SAFETY: a reference of ours; read so that the compiler cannot leave it out.
            let _ = unsafe { std::ptr::read_volatile(byte) };
        }
        if breaks() != before {
            return;
        }
    }
}

/// Mapping, with its entry in the list.
struct Mapping {
    mapped: Mmap,
    region: &'static Region,
}

/// Addresses of a mapping, and of its pages that could not be read: from the first to the last.
#[derive(Default)]
struct Region {
    start: AtomicUsize,
    end: AtomicUsize,
    broken_start: AtomicUsize,
    broken_end: AtomicUsize,
    next: AtomicPtr<Region>,
}

static REGIONS: AtomicPtr<Region> = AtomicPtr::new(std::ptr::null_mut());
static BREAKS: AtomicU64 = AtomicU64::new(0);
static PAGE: AtomicUsize = AtomicUsize::new(0);
static HANDLER: OnceLock<Result<(), Option<i32>>> = OnceLock::new();
static TABLE: Mutex<Table> = Mutex::new(Table { mapped: BTreeMap::new(), unused: Vec::new() });

/// The same regions for those who may wait: by address, and those of mappings that are gone.
struct Table {
    mapped: BTreeMap<usize, &'static Region>,
    unused: Vec<&'static Region>,
}

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn range_of(bytes: &[u8]) -> (usize, usize) {
    let start = bytes.as_ptr().addr();
    (start, start + bytes.len())
}

fn page_size() -> usize {
    // SAFETY: the call takes a number. Where it fails, pieces are as small as any page is.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

impl Mapping {
    fn new(mapped: Mmap) -> Self {
        let (start, end) = range_of(&mapped);
        let mut table = table();
        let region = table.unused.pop().unwrap_or_else(|| {
            let region: &'static Region = Box::leak(Box::default());
            region.next.store(REGIONS.load(SeqCst), SeqCst);
            REGIONS.store(std::ptr::from_ref(region).cast_mut(), SeqCst);
            region
        });
        region.broken_start.store(usize::MAX, SeqCst);
        region.broken_end.store(0, SeqCst);
        // The end last: until then it holds no address.
        region.start.store(start, SeqCst);
        region.end.store(end, SeqCst);
        table.mapped.insert(start, region);
        Self { mapped, region }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.mapped
    }
}

impl Drop for Mapping {
    /// Nobody reads the mapping any more; it is taken out of the list before its addresses may be another's.
    fn drop(&mut self) {
        let mut table = table();
        table.mapped.remove(&self.region.start.load(SeqCst));
        self.region.end.store(0, SeqCst);
        table.unused.push(self.region);
    }
}

fn handle_faults() -> io::Result<()> {
    PAGE.store(page_size(), SeqCst);
    // SAFETY: a struct of numbers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `action` lives until the call returns, and the handler calls only what a handler may.
    let done = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Puts zeros in the place of the page that could not be read. A fault anywhere else ends the process, as it would
/// have.
extern "C" fn on_fault(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a pointer that is good while the handler runs, and sets the address for SIGBUS; errno
    // is this thread's own.
    let (address, errno) = unsafe { ((*info).si_addr().addr(), *libc::__errno_location()) };
    if !replace(address) {
        // SAFETY: takes numbers. The read is made again when the handler returns, and ends the process.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
    }
    // SAFETY: as above; the interrupted code must not find another errno.
    unsafe { *libc::__errno_location() = errno };
}

/// True if the address is in a mapping of ours, and its page could be replaced.
fn replace(address: usize) -> bool {
    let mut next = REGIONS.load(SeqCst);
    // SAFETY: entries are leaked, so each pointer of the list is good for ever.
    while let Some(region) = unsafe { next.as_ref() } {
        if region.start.load(SeqCst) <= address && address < region.end.load(SeqCst) {
            let size = PAGE.load(SeqCst);
            let page = address - address % size;
            // Noted first: nobody reads zeros that are not known to be some.
            region.broken_start.fetch_min(page, SeqCst);
            region.broken_end.fetch_max(page + size, SeqCst);
            BREAKS.fetch_add(1, SeqCst);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            let place = std::ptr::without_provenance_mut(page);
            // SAFETY: the page is one of a mapping that `Mapping` holds, who is reading it now; it stays read-only
            // memory of the same length, and is unmapped with the rest.
            return unsafe { libc::mmap(place, size, libc::PROT_READ, flags, -1, 0) } != libc::MAP_FAILED;
        }
        next = region.next.load(SeqCst);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_that_shrinks_ends_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        let mut files = paths.each_ref().map(|path| durable::create(path, 0o644).unwrap());
        for file in &mut files {
            file.write_all(&vec![7; 64 << 10]).unwrap();
        }
        let [cut, whole] = paths.each_ref().map(|path| map(path, Some(64 << 10)).unwrap().0);
        files[0].set_len(16 << 10).unwrap();
        assert!(!is_broken(&cut) && !is_broken(&whole), "not known before it is read");
        touch(&cut.slice(..16 << 10));
        assert!(!is_broken(&cut));
        touch(&cut);
        assert_eq!(cut[32 << 10], 0, "read by somebody else");
        let (kept, gone) = (cut.slice(..16 << 10), cut.slice(16 << 10..20 << 10));
        assert!(is_broken(&cut) && is_broken(&gone) && !is_broken(&kept) && !is_broken(&whole));
        assert!(kept.iter().chain(&whole).all(|byte| *byte == 7));
        // The entry of one that is gone is another's later, which is whole.
        drop((cut, kept, gone));
        let (again, _) = map(&paths[1], None).unwrap();
        touch(&again);
        assert!(!is_broken(&again));
        assert!(map(&paths[0], Some(64 << 10)).is_err());
    }
}
