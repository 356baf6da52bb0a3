//! Tables of what the book must do. `simulation` mixes everything with everything; here each rule stands alone.

mod ends;
mod limits;
mod repeats;
mod shapes;
