//! Whom rows speak of, as an operator reads them: names in the place of aliases, or pseudonyms in the place of everything
//! that names somebody. Answers of `books` pass through here; the books themselves have aliases alone.

use std::sync::Arc;

use super::ControlState;
use super::people::on_disk;
use super::problem::Problem;
use crate::adapters::audit::groups::{ByLine, Dimension, SpendBy};
use crate::adapters::audit::{CallPage, CallQuery, CallRow};
use crate::adapters::people::{People, PeopleError, Person};
use crate::rules::subject::Name;

/// Where a condition finds a dimension.
const DIMENSIONS: &str = "subject.dimensions.";

/// Names that are asked for become the aliases that rows have. A name that nobody bears stays, and matches nothing.
pub(super) async fn asked(state: &Arc<ControlState>, mut query: CallQuery) -> Result<CallQuery, Problem> {
    if query.wheres.is_empty() {
        return Ok(query);
    }
    on_disk(state, move |people| {
        for condition in &mut query.wheres.0 {
            if let Some((column, value)) = condition.names()
                && let Some(dimension) = column.strip_prefix(DIMENSIONS)
                && let Some(alias) = alias(people, dimension, value)?
            {
                condition.rename(alias.to_string());
            }
        }
        Ok(query)
    })
    .await
}

fn alias(people: &People, dimension: &str, value: &str) -> Result<Option<Name>, PeopleError> {
    match people.is_personal(dimension) {
        true => people.find(&Person { dimension: dimension.into(), value: value.into() }),
        false => Ok(None),
    }
}

/// Rows as they are shown.
pub(super) async fn page(state: &Arc<ControlState>, mut page: CallPage, hide: bool) -> Result<CallPage, Problem> {
    if hide {
        page.calls.iter_mut().for_each(|row| state.pseudonyms.hide(row));
        return Ok(page);
    }
    let named = |row: &CallRow| row.subject.as_ref().is_some_and(|s| !s.dimensions.is_empty());
    if !page.calls.iter().any(named) {
        return Ok(page);
    }
    on_disk(state, move |people| {
        for subject in page.calls.iter_mut().filter_map(|row| row.subject.as_mut()) {
            people.unveil(subject)?;
        }
        Ok(page)
    })
    .await
}

/// Sums as they are shown.
pub(super) async fn sums(
    state: &Arc<ControlState>,
    mut sums: SpendBy,
    by: &[Dimension],
    hide: bool,
) -> Result<SpendBy, Problem> {
    if hide {
        sums.lines.iter_mut().for_each(|line| hidden(state, line));
        return Ok(sums);
    }
    let tags = by.iter().filter_map(|d| if let Dimension::Tag(name) = d { Some(name) } else { None });
    let personal: Vec<String> = tags.filter(|t| state.people.is_personal(t)).map(|t| format!("tag.{t}")).collect();
    if personal.is_empty() {
        return Ok(sums);
    }
    on_disk(state, move |people| {
        let cells = sums.lines.iter_mut().flat_map(|line| &mut line.group);
        for (_, alias) in cells.filter(|(name, _)| personal.contains(name)) {
            if let Some(text) = alias
                && let Some(person) = people.whose(text)?
            {
                *alias = Some(person.value.to_string());
            }
        }
        Ok(sums)
    })
    .await
}

fn hidden(state: &ControlState, line: &mut ByLine) {
    for (name, value) in &mut line.group {
        if let Some(value) = value {
            state.pseudonyms.hide_named(name, value);
        }
    }
}
