//! Golden bytes, and the tables of trust.
