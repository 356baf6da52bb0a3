//! `days`, `hours`, `zone` and `except`: when a window is open, and outside which a switch trips. Zones are read here, from the
//! system's tables, so that no rule reads a file.

use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

use crate::config::raw::{Node, Table};
use crate::rules::hours::OpenHours;
use crate::rules::price::Hours;

/// Every key is read before the first one that is wrong ends it, so that all of them are reported.
pub(super) fn read(table: &Table<'_>) -> Option<OpenHours> {
    let days = table.get("days").map(|node| texts(&node).join(","));
    let spans = table.get("hours").map(|node| texts(&node)).unwrap_or_default();
    let except = table.get("except").map(|node| texts(&node)).unwrap_or_default();
    let zone = table.get("zone").map_or(Some(("UTC", TimeZone::UTC)), |node| zone(&node));
    if days.is_none() && spans.is_empty() {
        return table.none("name `days` (`mon-fri`), `hours` (`09:00-17:00`) or both");
    }
    let Some(hours) = Hours::of_week(days.as_deref(), &spans) else {
        return table.none("write hours as `09:00-17:00`, the earlier first, and days as `mon-fri`, or `sat,sun`");
    };
    let Some(hours) = hours.but_on(&except) else {
        return table.none("write the days of `except` as `2026-12-25`");
    };
    let (name, zone) = zone?;
    let but = if except.is_empty() { String::new() } else { format!(" but on {}", except.join(", ")) };
    let parts = [days.unwrap_or_default(), spans.join(", "), name.to_owned()];
    let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    Some(OpenHours::new(hours, zone, format!("{text}{but}")))
}

fn texts<'t>(node: &Node<'t>) -> Vec<&'t str> {
    node.one_or_more().iter().filter_map(Node::text).collect()
}

/// `UTC`, `+02:00`, `Europe/Berlin`
fn zone<'t>(node: &Node<'t>) -> Option<(&'t str, TimeZone)> {
    let name = node.text()?;
    match DateTimeParser::new().parse_time_zone(name) {
        Ok(zone) => Some((name, zone)),
        Err(_) => {
            node.wrong(format!(
                "`{name}` is no zone that this machine knows: write `UTC`, an offset such as `+02:00`, or a name such as \
                 `Europe/Berlin` where its tables of zones are installed"
            ));
            None
        }
    }
}
