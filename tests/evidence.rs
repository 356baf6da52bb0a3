//! Evidence from the books: what is exported verifies, and whatever is done to it shows. In process, over a real store, for
//! thousands of seeded tamperings; and with a real server, whose database is changed by hand.

#[path = "evidence/attacks.rs"]
mod attacks;
mod common;
#[path = "evidence/cost.rs"]
mod cost;
#[path = "evidence/fuzz.rs"]
mod fuzz;
#[path = "evidence/process.rs"]
mod process;
#[path = "evidence/scene.rs"]
mod scene;
