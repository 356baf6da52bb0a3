//! Why a call's parameters have no single reading, in words for the caller. `problem` sends them in the vendor's envelope.
//! Nothing of what the caller sent is repeated here; names come from the rule that asked.

use std::fmt;

/// A call that cannot be judged as it stands. Never worth a retry without a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A `Content-Encoding`.
    #[error("the request body is compressed (`Content-Encoding`), and it has to be read; send it plain")]
    CompressedBody,
    /// A body of a kind that cannot be judged here.
    #[error("{0}")]
    ContentType(ContentProblem),
    /// One JSON object has a member twice.
    #[error("the JSON body has an object with the same member twice, at byte {offset}; send each member once")]
    Duplicate {
        /// Where the second value stands.
        offset: usize,
    },
    /// Not what it claims to be.
    #[error("{place} cannot be read: {problem}; correct it")]
    Syntax {
        /// Query or body.
        place: Place,
        /// What, and where.
        problem: String,
    },
    /// Nested beyond what is read.
    #[error("{place} is nested too deeply at byte {offset}; send a flatter one")]
    TooDeep {
        /// Query or body.
        place: Place,
        /// Where it becomes too deep.
        offset: usize,
    },
    /// In more than one of query, path and body.
    #[error("the parameter `{name}` is given in more than one of path, query and body; send it in one of them")]
    Twice {
        /// As the rule spells it.
        name: String,
    },
    /// More than once in one place, or in another spelling.
    #[error(
        "the parameter `{name}` has no single reading: it is given twice, both with and without brackets, or in another \
         spelling (letter case, `_`, dots, zeros); send it once, spelled exactly so"
    )]
    Ambiguous {
        /// As the rule spells it.
        name: String,
    },
    /// In a body that is not read.
    #[error(
        "a rule reads the parameter `{name}`, and this kind of body cannot be searched for it; send JSON or a form if the vendor takes them"
    )]
    Opaque {
        /// As the rule spells it.
        name: String,
    },
    /// A body that is not read, where a schema judges all of it.
    #[error(
        "a schema judges the whole body, and this kind of body cannot be read; send JSON or a form if the vendor takes them"
    )]
    OpaqueWhole,
    /// A field that turns the method into another.
    #[error("the request asks for another method than its own (`_method` or the like); send the method itself")]
    MethodOverride,
}

impl Unreadable {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::CompressedBody | Self::ContentType(_) | Self::Opaque { .. } | Self::OpaqueWhole => 415,
            Self::Duplicate { .. } | Self::Syntax { .. } | Self::TooDeep { .. } => 400,
            Self::Twice { .. } | Self::Ambiguous { .. } | Self::MethodOverride => 400,
        }
    }

    /// What is wrong, where, and what to do.
    pub fn sentence(&self) -> String {
        self.to_string()
    }
}

/// What is wrong with a `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentProblem {
    /// There is a body, and no word on what it is.
    #[error("the request has a body and no `Content-Type`; name one")]
    Missing,
    /// Two types, or something that is none.
    #[error("the `Content-Type` is given twice or is malformed; send one, such as `application/json`")]
    Malformed,
    /// Another charset than UTF-8.
    #[error("the `Content-Type` names a charset other than UTF-8; send UTF-8")]
    Charset,
    /// A good type, but not for this operation.
    #[error("this operation does not take a body of this `Content-Type`; send the type that the vendor documents")]
    Undeclared,
}

/// Where a parameter was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind the `?`.
    Query,
    /// The request body.
    Body,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Query => "the query",
            Place::Body => "the request body",
        })
    }
}
