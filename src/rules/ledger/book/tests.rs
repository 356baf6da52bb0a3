//! Tables of what the book must do. `simulation` mixes everything with everything; here each rule stands alone.

mod ends;
mod limits;
mod rates;
mod repeats;
mod shapes;
