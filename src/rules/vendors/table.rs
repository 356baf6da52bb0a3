//! A vendor's whole published API as lines of method, path, action and tier: each becomes an operation of its own, with the price
//! and the bodies of the catalogue's entry that it falls under. So budgets, rates and rules can name it, and it weighs what a
//! person found that it does. `catalog/operations/build.py` writes the tables. An operator's own operations stand before them.

use super::entry::{BodyKind, Operation, Price};
use super::route::Routes;
use crate::rules::books::Tier;

/// What the catalogue says where it knows nothing special of an operation.
const GENERIC: [&str; 3] = ["read", "record.write", "record.delete"];

/// One line.
struct Line<'t> {
    on: &'t str,
    method: &'t str,
    template: Vec<Box<str>>,
    action: &'t str,
    tier: Tier,
}

/// The operations with those of the table. The first `own` are the operator's.
pub(super) fn mapped(
    mut operations: Vec<Operation>,
    own: usize,
    table: &str,
    otherwise: Option<&Price>,
) -> Vec<Operation> {
    let routes = Routes::new(&operations);
    let mut added = Vec::new();
    for line in table.lines().filter_map(line) {
        let sample: Vec<&str> = line.template.iter().map(|part| if is_param(part) { "x" } else { part }).collect();
        match routes.find(line.method, &sample) {
            Some(at) if at < own => {}
            Some(at) if same(&operations[at].template, &line.template) => name(&mut operations[at], &line),
            Some(at) => added.push(line.like(&operations[at])),
            None => added.push(line.unlisted(otherwise)),
        }
    }
    operations.extend(added);
    operations
}

/// `POST /v1/refunds`, action and tier, with tabs between.
fn line(text: &str) -> Option<Line<'_>> {
    let mut fields = text.split('\t');
    let on = fields.next()?;
    let (method, path) = on.split_once(" /")?;
    let template = path.split('/').filter(|part| !part.is_empty()).map(Into::into).collect();
    Some(Line { on, method, template, action: fields.next()?, tier: Tier::parse(fields.next()?)? })
}

fn is_param(part: &str) -> bool {
    part.starts_with('{')
}

fn same(one: &[Box<str>], other: &[Box<str>]) -> bool {
    let alike = |a: &str, b: &str| (is_param(a) && is_param(b) && !a.ends_with("+}")) || a == b;
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| alike(a, b))
}

/// What moves or buys something is named in the catalogue already.
fn name(operation: &mut Operation, line: &Line<'_>) {
    if GENERIC.contains(&&*operation.action) {
        (operation.action, operation.tier) = (line.action.into(), line.tier);
    }
}

impl Line<'_> {
    fn like(&self, entry: &Operation) -> Operation {
        let mut operation = Operation {
            name: self.on.into(),
            method: self.method.into(),
            template: self.template.clone(),
            ..entry.clone()
        };
        name(&mut operation, self);
        operation
    }

    /// Nobody has said what it costs.
    fn unlisted(&self, otherwise: Option<&Price>) -> Operation {
        Operation {
            name: self.on.into(),
            method: self.method.into(),
            template: self.template.clone(),
            action: self.action.into(),
            tier: self.tier,
            bodies: vec![BodyKind::Json, BodyKind::Form],
            price: otherwise.cloned().unwrap_or(Price::Ceiling),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::path::CanonicalPath;
    use crate::rules::vendors::{Price, RawVendor, Vendor, catalog};

    fn vendor(name: &str, own: &str) -> Vendor {
        let raw: RawVendor = toml::from_str(own).expect("a table");
        let shipped = catalog::shipped(name).expect("it ships").expect("it is sound");
        shipped.merge(raw).check(name).expect("it is sound")
    }

    /// `name action tier`
    fn found(vendor: &Vendor, method: &str, path: &str) -> String {
        let path = CanonicalPath::parse(path).expect("canonical").path;
        let routed = vendor.route(method, path);
        routed.operation.map_or_else(|| "none".to_owned(), |o| format!("{} {} {}", o.name, o.action, o.tier))
    }

    #[test]
    fn operations_are_named_and_weighed() {
        let (github, stripe) = (vendor("github", ""), vendor("stripe", ""));
        for (vendor, method, path, wanted) in [
            (&github, "GET", "/repos/a/b/issues", "GET /repos/{owner}/{repo}/issues issues.read read-only"),
            (&github, "POST", "/repos/a/b/issues", "POST /repos/{owner}/{repo}/issues issues.write write-external"),
            (
                &github,
                "PUT",
                "/repos/a/b/pulls/1/merge",
                "PUT /repos/{owner}/{repo}/pulls/{number}/merge pulls.change mutation",
            ),
            (
                &github,
                "GET",
                "/repos/a/b/contents/src/x.rs",
                "GET /repos/{owner}/{repo}/contents/{path+} repos.read read-only",
            ),
            (&github, "POST", "/user/codespaces", "POST /user/codespaces purchase mutation"),
            (
                &github,
                "POST",
                "/repos/a/b/actions/runs/1/rerun",
                "POST /repos/{owner}/{repo}/actions/runs/{run_id}/rerun actions.run execution",
            ),
            (
                &github,
                "PATCH",
                "/repos/a/b/git/refs/heads/x",
                "PATCH /repos/{owner}/{repo}/git/refs/{ref+} git.change mutation",
            ),
            (&github, "GET", "/nobody/knows/this", "GET /{path+} read read-only"),
            (&stripe, "POST", "/v1/refunds", "POST /v1/refunds payment.refund mutation"),
            (&stripe, "GET", "/v1/refunds/re_1", "GET /v1/refunds/{refund} refunds.read read-only"),
            (&stripe, "POST", "/v1/customers/cus_1", "POST /v1/customers/{customer} customers.write write-external"),
            (&stripe, "DELETE", "/v1/customers/cus_1", "DELETE /v1/customers/{customer} cancel mutation"),
            (&stripe, "POST", "/v1/ephemeral_keys", "POST /v1/ephemeral_keys ephemeral_keys.change mutation"),
        ] {
            assert_eq!(found(vendor, method, path), wanted, "{method} {path}");
        }
    }

    #[test]
    fn the_table_changes_no_price_and_the_operator_stands_before_it() {
        for name in ["github", "stripe"] {
            let bare = RawVendor { table: None, ..catalog::shipped(name).expect("it ships").expect("it is sound") };
            let (bare, whole) = (bare.check(name).expect("it is sound"), vendor(name, ""));
            assert!(whole.operations.len() > 600, "{name}");
            for operation in &whole.operations {
                let path: String = operation
                    .template
                    .iter()
                    .map(|s| if s.starts_with('{') { "/x".into() } else { format!("/{s}") })
                    .collect();
                let price = |vendor: &Vendor| {
                    let routed = vendor.route(&operation.method, CanonicalPath::parse(&path).expect("canonical").path);
                    format!("{:?}", vendor.price_of(routed.operation).unwrap_or(&Price::Ceiling))
                };
                assert_eq!(price(&bare), price(&whole), "{}", operation.name);
            }
        }
        let own = "[[operations]]\non = [\"GET /repos/{o}/{r}/issues\"]\naction = \"mine\"\ntier = \"execution\"\nprice = \"free\"\n";
        assert_eq!(
            found(&vendor("github", own), "GET", "/repos/a/b/issues"),
            "GET /repos/{o}/{r}/issues mine execution"
        );
    }
}
