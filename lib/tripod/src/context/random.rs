//! Random ids. `xoshiro256**` with 256 bits of state a thread, seeded from the standard library's hash keys (which come
//! from the system): the state is wide enough that two threads or processes never walk the same sequence, and an id
//! costs a nanosecond. Ids need to be unique, not secret.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static STATE: Cell<[u64; 4]> = Cell::new(seed());
}

fn seed() -> [u64; 4] {
    let now = std::time::SystemTime::now();
    let state = [0u64, 1, 2, 3].map(|word| RandomState::new().hash_one((word, now, std::process::id())));
    // The generator stands still on an all-zero state.
    if state == [0; 4] { [1, 2, 3, 4] } else { state }
}

/// 64 random bits.
pub(crate) fn next() -> u64 {
    let step = |state: &Cell<[u64; 4]>| {
        let mut s = state.get();
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        state.set(s);
        result
    };
    // While a thread ends its state may be gone already; a fresh one does then.
    STATE.try_with(step).unwrap_or_else(|_| step(&Cell::new(seed())))
}

/// A random number in `0.0..1.0`.
pub(crate) fn fraction() -> f64 {
    (next() >> 11) as f64 / (1u64 << 53) as f64
}
