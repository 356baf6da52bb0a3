//! Places that fail, come back, and hold what the books do not.
