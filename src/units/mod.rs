//! The ground floor: values that every other floor speaks in. Owns no rule and does no IO. `rules` comes next.

pub mod amount;
pub mod duration;
pub mod ids;
pub mod money;
pub mod secret;
pub mod table;
pub mod time;
pub mod vault_key;
