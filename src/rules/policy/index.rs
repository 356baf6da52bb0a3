//! Which rules of a list a path can concern at all, by the plain text that their patterns begin with: found by a few look-ups,
//! however many rules there are. Decides nothing; `rule` matches what is found.

use std::collections::HashMap;

use super::rule::Rule;

/// Places in a list of rules, by the beginnings of their paths.
#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    /// Lengths of the beginnings, each once.
    lengths: Vec<usize>,
    beginnings: HashMap<Box<str>, Vec<usize>>,
}

impl RuleIndex {
    /// `spell`: how a beginning is kept, and how `candidates` must be asked.
    pub fn new<'r>(rules: impl IntoIterator<Item = &'r Rule>, spell: impl Fn(&str) -> Box<str>) -> Self {
        let mut index = Self::default();
        for (at, rule) in rules.into_iter().enumerate() {
            for path in &rule.paths {
                let beginning = spell(path.plain());
                if !index.lengths.contains(&beginning.len()) {
                    index.lengths.push(beginning.len());
                }
                let places = index.beginnings.entry(beginning).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
        }
        index
    }

    /// The places of all rules that may match, in the order of the list.
    pub fn candidates(&self, path: &str) -> Vec<usize> {
        let beginnings = self.lengths.iter().filter_map(|length| self.beginnings.get(path.get(..*length)?));
        let mut places: Vec<usize> = beginnings.flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Mode;
    use super::super::rule::{Methods, RulePath};
    use super::*;

    fn rule(paths: &[&str]) -> Rule {
        Rule {
            label: "r".into(),
            vendors: Vec::new(),
            methods: Methods::all(),
            paths: paths.iter().map(|p| RulePath::parse(p).expect(p)).collect(),
            tier: None,
            params: Vec::new(),
            mode: Mode::Enforce,
        }
    }

    #[test]
    fn whatever_matches_is_among_the_candidates() {
        let lists: [&[&str]; 8] = [
            &["/v1/charges/**"],
            &["/v1/refunds", "/v1/refunds/*"],
            &["/**"],
            &["/*/charges"],
            &["/v1/cust*", "/v2/{a,b}"],
            &["/"],
            &["/v1/ch?rges/x"],
            &["/v1"],
        ];
        let rules: Vec<Rule> = lists.iter().map(|paths| rule(paths)).collect();
        let index = RuleIndex::new(&rules, |plain| plain.into());
        for path in
            ["/v1/charges", "/v1/charges/x", "/v1/refunds/r", "/v1/customers", "/v2/b", "/", "/v1", "/ü/charges"]
        {
            let found = index.candidates(path);
            let matching = (0..rules.len()).filter(|at| rules[*at].matches("any", "GET", path));
            assert!(matching.clone().all(|at| found.contains(&at)), "{path}: {found:?}");
            assert!(found.is_sorted() && matching.count() > 0, "{path}");
        }
        assert!(!index.candidates("/v2/b").contains(&0), "a rule on other paths is passed over");
    }
}
