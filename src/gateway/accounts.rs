//! Headers by which a caller picks an account at its vendor: as the rules judge them, and as a person is shown them. Which those are,
//! the vendor's entry says.

use std::collections::BTreeMap;

use super::admit::Judged;
use super::problem::Problem;
use crate::rules::books::said;
use crate::rules::subject::Name;

impl Judged<'_> {
    pub fn account_headers(&self) -> Result<Vec<(&str, &str)>, Problem> {
        let mut found = Vec::new();
        for name in &self.place.vendor.account_headers {
            for value in self.parts.headers.get_all(&**name) {
                let text = value.to_str().map_err(|_| Problem::Malformed(format!("`{name}` holds no plain text")))?;
                found.push((&**name, text));
            }
        }
        Ok(found)
    }

    /// The same, to be shown to a person.
    pub fn account_headers_shown(&self) -> BTreeMap<Name, Box<str>> {
        let found = self.account_headers().unwrap_or_default();
        found.into_iter().map(|(name, value)| (name.into(), said(value).into())).collect()
    }
}
