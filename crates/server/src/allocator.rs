//! Settings of the C library's allocator, which is the program's.
//!
//! As it comes it has eight arenas a core, each of which keeps what it once had, and after a few large blocks were freed
//! it takes the next ones from arenas too: a server that gathers samples and writes them out every two hours then holds a
//! third more than it uses (`bench/RESULTS.md`).

/// Arenas; more would help more threads than allocate at a time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 4;

/// Blocks from this size on are given back to the system when they are freed, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: i32 = 256 * 1024;

/// What an arena may keep at its end, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = 1024 * 1024;

/// Makes the allocator give memory back that is not used; to be called before there are threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a call of the C library that has no other form")]
pub(crate) fn set_up() {
    for (parameter, value) in
        [(libc::M_ARENA_MAX, ARENAS), (libc::M_MMAP_THRESHOLD, LARGE_BYTES), (libc::M_TRIM_THRESHOLD, KEPT_BYTES)]
    {
        // SAFETY: takes two numbers, and refuses what it does not know. What was set in the environment is overwritten.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn set_up() {}
