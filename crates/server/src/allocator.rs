//! Settings of the C library's allocator, which is the program's.
//!
//! As it comes it has eight arenas a core, each of which keeps what it once had. After a large block was freed it takes
//! blocks of that size from arenas too: a server that gathers samples and writes them out every two hours then holds two
//! or three times what it uses (`bench/RESULTS.md`).

/// Arenas; more would help more threads than allocate at a time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 4;

/// Blocks from this size on come from the system and go back to it, in bytes. Those of a request are smaller: to ask the
/// system for each of them costs a fifth of what can be taken.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: i32 = 1024 * 1024;

/// Makes the allocator give memory back that is not used; to be called before there are threads. Settings in the
/// environment (`MALLOC_…`, `GLIBC_TUNABLES`) are left as they are.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a call of the C library that has no other form")]
pub(crate) fn set_up() {
    let is_set = |name: &std::ffi::OsStr| {
        name == "GLIBC_TUNABLES" || name.to_str().is_some_and(|name| name.starts_with("MALLOC_"))
    };
    if std::env::vars_os().any(|(name, _)| is_set(&name)) {
        return;
    }
    for (parameter, value) in [(libc::M_ARENA_MAX, ARENAS), (libc::M_MMAP_THRESHOLD, LARGE_BYTES)] {
        // SAFETY: takes two numbers, and refuses what it does not know.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn set_up() {}
