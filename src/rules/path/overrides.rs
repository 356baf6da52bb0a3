//! The ways in which a request can ask a server to treat its method as another. All of them are refused: what is judged is
//! the method on the request line. `route` refuses the headers, `args` the fields.

use percent_encoding::percent_decode;

/// Header names (lower case) that override the method at some vendors.
pub const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Field names that do the same from a query or a form: Rails, Laravel and Express read the first, Google the second.
const OVERRIDE_FIELDS: [&str; 5] =
    ["_method", "$httpMethod", "x-http-method-override", "x-http-method", "x-method-override"];

/// Whether a query or a form body holds a field that overrides the method, in any spelling.
/// It reads more loosely than `form`, so that what a lenient server would find is found here too.
pub fn query_or_form_overrides_method(raw: &[u8]) -> bool {
    raw.split(|byte| matches!(byte, b'&' | b';'))
        .any(|pair| is_override(pair.split(|&byte| byte == b'=').next().unwrap_or_default()))
}

fn is_override(raw_name: &[u8]) -> bool {
    let name = percent_decode(raw_name).decode_utf8_lossy();
    let name = name.split(['[', '\0']).next().unwrap_or_default();
    let name = name.trim_matches(|c: char| c.is_whitespace() || c == '+');
    OVERRIDE_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
}
