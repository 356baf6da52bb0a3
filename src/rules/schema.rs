//! JSON Schema (draft 2020-12) on the arguments of a call: compiled once, asked of JSON, forms and queries alike. Says where a call
//! does not fit and by which keyword, and never shows a value.
//!
//! `sound` refuses what would not hold what it seems to: unknown keywords, tests that a value of another type would pass, references
//! that leave the document or lead back to themselves (so a body has no say in how much work it is). `given` makes the value that
//! is judged. Reads no file; `config::schema_file` does, and a policy says which calls a schema is for.

mod given;
mod kinds;
mod number;
mod sound;
#[cfg(test)]
mod tests;

use std::fmt;

use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value as Json;

use crate::rules::args::{Args, Unreadable};
use crate::rules::policy::Target;
use crate::rules::subject::Name;
use crate::units::ids::Digest32;

pub use number::exact;

/// Of one compiled pattern, in bytes. Patterns are matched in linear time.
const PATTERN: usize = 1 << 20;
/// The longest part of a place or of what was wanted that a refusal repeats.
const SHOWN: usize = 160;

/// A schema that is ready to be asked.
pub struct Schema {
    pub name: Name,
    /// Of its text.
    pub hash: Digest32,
    root: Json,
    /// Every name that it says something of: each must have one reading.
    names: Vec<Target>,
    validator: Validator,
}

/// What is wrong with a schema, and at which JSON Pointer of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub at: String,
    pub what: String,
}

/// Where a call does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// A JSON Pointer into the arguments; empty for all of them.
    pub at: String,
    pub keyword: String,
    /// What the schema says there, in words that follow "it".
    pub wanted: String,
}

/// By what tells it from another.
impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("name", &self.name).field("hash", &self.hash).finish()
    }
}

impl Schema {
    pub fn compile(name: &str, hash: Digest32, root: Json) -> Result<Self, Vec<Flaw>> {
        let names = sound::names(&root)?;
        let patterns = PatternOptions::regex().size_limit(PATTERN).dfa_size_limit(PATTERN);
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_pattern_options(patterns);
        let flaw = |e: ValidationError<'_>| Flaw { at: e.instance_path().as_str().to_owned(), what: e.to_string() };
        let validator = options.build(&root).map_err(|e| vec![flaw(e)])?;
        Ok(Self { name: name.into(), hash, root, names, validator })
    }

    /// Where the arguments do not fit, if they do not.
    pub fn misfit(&self, args: &Args<'_>) -> Result<Option<Misfit>, Unreadable> {
        let whole = args.whole()?;
        // A name that some reader takes for another one of the schema's would be judged as none.
        for name in &self.names {
            name.values(args)?;
        }
        let given = match given::read(&whole, &self.root)? {
            Ok(given) => given,
            Err(misfit) => return Ok(Some(misfit)),
        };
        Ok(given.iter().find_map(|value| self.validator.validate(value).err().map(|e| misfit(&e))))
    }
}

fn misfit(error: &ValidationError<'_>) -> Misfit {
    let wanted = match error.kind() {
        // Its words repeat the name as a value.
        jsonschema::error::ValidationErrorKind::PropertyNames { .. } => {
            "has a member of another name than it may".to_owned()
        }
        _ => format!("is against it: {}", error.masked_with("the value")),
    };
    Misfit {
        at: short(error.instance_path().as_str()),
        keyword: error.kind().keyword().to_owned(),
        wanted: short(&wanted),
    }
}

/// Names come from the caller: never long, never with control characters.
fn short(text: &str) -> String {
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    match text.char_indices().nth(SHOWN) {
        None => plain(text),
        Some((end, _)) => format!("{}…", plain(&text[..end])),
    }
}
