//! Checkpoints, exports and proofs over a store with rows.
