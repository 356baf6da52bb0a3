//! Hash tables that are asked several times a call. Seeded anew in each process, so that nobody can prepare names that collide,
//! and several times as fast as those of the standard library.

/// By name or id.
pub type Table<K, V> = std::collections::HashMap<K, V, Hashing>;

/// How they hash.
pub type Hashing = foldhash::quality::RandomState;
