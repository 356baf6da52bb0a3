//! What goes over the wire on both sides: requests that no client library would send, shapes of answers, large bodies, keys in
//! every place. The mock vendor's log is the other half of each assertion.

#[path = "wire/answers.rs"]
mod answers;
#[path = "wire/bodies.rs"]
mod bodies;
mod common;
#[path = "wire/framing.rs"]
mod framing;
#[path = "wire/http2.rs"]
mod http2;
#[path = "wire/keys.rs"]
mod keys;
#[path = "wire/life.rs"]
mod life;
#[path = "wire/shapes.rs"]
mod shapes;

use common::bursar::Key;
use common::house::House;

/// Everything at GitHub, which costs nothing; models and chats at OpenAI.
const FREE: &str = r#"
name = "free"
vendors = ["github", "openai"]

[[allow]]
methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
paths = ["/**"]
[[deny]]
paths = ["/secret/**"]
"#;

/// A bursar and a key that may do all of it.
fn house() -> (House, Key) {
    let house = House::new(&[FREE]);
    let key = house.mint("free", "agent");
    (house, key)
}
