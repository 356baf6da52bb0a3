//! `multipart/form-data` bodies, read strictly: parts with their names and bytes, or no reading at all where two readers could
//! see different parts. Gives slices of the body; decodes nothing, and knows no field's meaning.

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub name: &'a str,
    pub content: &'a [u8],
}

/// Headers of one part, and parts of one body, are no more than this.
const LONGEST_HEAD: usize = 4096;
const MOST_PARTS: usize = 64;

/// The parts of a body, by its content type. `None` if it has no one reading.
pub fn parts<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Part<'a>>> {
    let line = format!("--{}", boundary(content_type)?);
    let mut rest = body.strip_prefix(line.as_bytes())?;
    let divider = format!("\r\n{line}");
    let mut found = Vec::new();
    loop {
        if let Some(end) = rest.strip_prefix(b"--") {
            // What stands behind the end some readers ignore and some read.
            return (end.is_empty() || end == b"\r\n").then_some(found);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let at = memchr::memmem::find(rest, divider.as_bytes())?;
        let part = part(&rest[..at])?;
        if found.len() == MOST_PARTS || found.iter().any(|own: &Part<'_>| own.name.eq_ignore_ascii_case(part.name)) {
            return None;
        }
        found.push(part);
        rest = &rest[at + divider.len()..];
    }
}

/// What divides the parts. It stands in the content type once.
fn boundary(content_type: &str) -> Option<&str> {
    let mut parameters = content_type.split(';').skip(1).map(str::trim);
    let named = |text: &str| text.get(..9).is_some_and(|name| name.eq_ignore_ascii_case("boundary="));
    let value = parameters.find(|text| named(text))?.get(9..)?;
    let value = value.strip_prefix('"').map_or(Some(value), |inner| inner.strip_suffix('"'))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    let good = !value.is_empty() && value.len() <= 70 && value.bytes().all(plain);
    (good && !parameters.any(named)).then_some(value)
}

fn part(bytes: &[u8]) -> Option<Part<'_>> {
    let end = memchr::memmem::find(&bytes[..bytes.len().min(LONGEST_HEAD)], b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let lines: Option<Vec<(&str, &str)>> = head.split("\r\n").map(line).collect();
    let mut disposition = None;
    for (field, value) in lines? {
        if field.eq_ignore_ascii_case("content-transfer-encoding") {
            return None;
        }
        if field.eq_ignore_ascii_case("content-disposition") && disposition.replace(value).is_some() {
            return None;
        }
    }
    Some(Part { name: name(disposition?)?, content: &bytes[end + 4..] })
}

/// Field and value of a line that every reader divides alike: not one that goes on, or ends early for some.
fn line(line: &str) -> Option<(&str, &str)> {
    let (field, value) = line.split_once(':')?;
    let plain = !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (plain && !line.contains(['\r', '\n', '\0'])).then_some((field, value.trim()))
}

/// `form-data; name="purpose"; filename="a.jsonl"`: the name once, a file's name at most once, and nothing else.
fn name(disposition: &str) -> Option<&str> {
    let mut parameters = parameters(disposition).into_iter();
    if !parameters.next()?.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut file) = (None, None);
    for parameter in parameters {
        let (key, value) = parameter.trim().split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let place = match key.to_ascii_lowercase().as_str() {
            "name" => &mut name,
            "filename" => &mut file,
            _ => return None,
        };
        if value.contains(['"', '\\']) || place.replace(value).is_some() {
            return None;
        }
    }
    name.filter(|name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
}

/// Cut at each `;` that does not stand between quotes.
fn parameters(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let cut = |c: char| {
        quoted ^= c == '"';
        c == ';' && !quoted
    };
    text.split(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=xyz";

    #[test]
    fn parts_are_read_or_not_at_all() {
        let part = |name: &str, more: &str, content: &str| {
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{content}\r\n")
        };
        let file = part("file", "; filename=\"a.jsonl\"", "{}\n--xy\r\n{}");
        let whole = format!("{}{file}--xyz--\r\n", part("purpose", "", "batch"));
        let found = parts(KIND, whole.as_bytes()).expect("readable");
        let told: Vec<_> = found.iter().map(|p| (p.name, String::from_utf8_lossy(p.content).into_owned())).collect();
        assert_eq!(told, [("purpose", "batch".to_owned()), ("file", "{}\n--xy\r\n{}".to_owned())]);
        assert_eq!(parts("multipart/form-data; boundary=\"xyz\"", whole.as_bytes()).map(|p| p.len()), Some(2));
        for good in [
            whole
                .replace("; filename=\"a.jsonl\"", "; filename=\"a; name=b.jsonl\"\r\nContent-Type: application/jsonl"),
            whole.replace("name=\"file\"; filename=\"a.jsonl\"", "filename=\"a.jsonl\" ;name=\"file\""),
            whole.replace("form-data; name=\"file\"", "Form-Data; Name=\"file\""),
        ] {
            assert_eq!(parts(KIND, good.as_bytes()).map(|p| (p.len(), p[1].name)), Some((2, "file")), "{good}");
        }
        for (kind, body) in [
            ("multipart/form-data", whole.clone()),
            ("multipart/form-data; boundary=xyz; boundary=abc", whole.clone()),
            ("multipart/form-data; boundary=abc", whole.clone()),
            (KIND, whole.replace("--xyz--", "--xyz")),
            (KIND, format!("before{whole}")),
            (KIND, format!("{whole}behind")),
            (KIND, whole.replace("name=\"file\"", "name=\"Purpose\"")),
            (KIND, whole.replace("name=\"file\"", "name=\"file\"; name=\"x\"")),
            (KIND, whole.replace("name=\"file\"", "name=file")),
            // What one reader takes for a part's name, and another for nothing.
            (KIND, whole.replace("name=\"file\"", "name=\"file\"; NAME=\"purpose\"")),
            (KIND, whole.replace("name=\"file\"", "name=\"file\"; name =\"purpose\"")),
            (KIND, whole.replace("name=\"file\"", "name=\"file\"; name*=utf-8''purpose")),
            (KIND, whole.replace("name=\"file\"", "name=\"file\"; x=\"; name=purpose\"")),
            (KIND, whole.replace("; filename=\"a.jsonl\"", "; filename=\"a\"; filename=\"b\"")),
            (KIND, whole.replace("; filename=\"a.jsonl\"", ";\r\n filename=\"a.jsonl\"")),
            (KIND, whole.replace("; filename=\"a.jsonl\"", "\n; filename=\"a.jsonl\"")),
            (KIND, whole.replace("; filename=\"a.jsonl\"", "\r\nno header")),
            (KIND, whole.replace("; filename=\"a.jsonl\"", "\r\nX-A : b")),
            (KIND, whole.replace("form-data; name=\"file\"", "form-datax; name=\"file\"")),
            (KIND, whole.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n")),
            (KIND, String::new()),
        ] {
            assert_eq!(parts(kind, body.as_bytes()), None, "{kind} {body}");
        }
    }
}
