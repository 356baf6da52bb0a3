//! `bursar prices show`: the row that a model's name leads to at each vendor, with the schedule that holds.

use serde_json::{Value, json};

use super::super::output::{BOLD, Columns, DIM, json as print_json, line};
use super::super::{Failure, Global};
use super::Show;
use crate::adapters::price_store::{PriceFiles, Upto};
use crate::rules::price::Kind;
use crate::units::time::Timestamp;

pub fn run(global: &Global, files: &PriceFiles, asked: &Show) -> Result<(), Failure> {
    let book = files.load(Upto::Overrides).map_err(Failure::refused)?;
    let at = asked.at.map_or_else(Timestamp::now, |when| when.0);
    let vendors = book.vendors().into_iter().filter(|vendor| asked.vendor.as_deref().is_none_or(|own| own == *vendor));
    let mut found = false;
    for vendor in vendors {
        let Some(row) = book.find(vendor, &asked.model) else { continue };
        found = true;
        let holds = row.schedule_at(at);
        let mut value = row.to_json(vendor, &[&*row.id]);
        if global.json {
            value["model"] = json!(asked.model);
            value["at"] = json!(at);
            value["holds"] = json!(holds);
            value["book"] = json!(book.hash());
            print_json(&value)?;
        } else {
            page(&asked.model, vendor, &value, holds)?;
        }
    }
    if found {
        return Ok(());
    }
    let of = asked.vendor.as_ref().map_or_else(|| "any vendor".to_owned(), |vendor| format!("`{vendor}`"));
    Err(Failure::refused(format!(
        "no model `{}` of {of} has a price. A call of it is refused, or priced at the vendor's dearest, as the policy says. \
         Give it one in your own file (`[prices] overrides`): a [[model]], or under [alias] the model behind the name.",
        asked.model
    )))
}

fn page(model: &str, vendor: &str, row: &Value, holds: Option<usize>) -> Result<(), Failure> {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    line(format!("{BOLD}{model}{BOLD:#} of {vendor} {DIM}(row {}){DIM:#}", plain(&row["names"][0])))?;
    let said = |name| Some(text(name)).filter(|text| !text.is_empty());
    let (source, checked) = (said("source"), said("checked"));
    let source = source.unwrap_or_else(|| "your own file, which names none".to_owned());
    line(format!("  source   {source}, checked {}", checked.as_deref().unwrap_or("nobody says when")))?;
    for name in ["limits", "multipliers", "fees"] {
        let pairs = row[name].as_object().into_iter().flatten();
        let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name} {}", plain(value))).collect();
        if !pairs.is_empty() {
            line(format!("  {name:<8} {}", pairs.join(", ")))?;
        }
    }
    let schedules = row["price"].as_array().map_or(&[][..], Vec::as_slice);
    for (number, schedule) in schedules.iter().enumerate() {
        let now = if holds == Some(number) { "  <- holds" } else { "" };
        line(format!("  {}{BOLD}{now}{BOLD:#}", when(schedule)))?;
        if holds == Some(number) || schedules.len() < 4 {
            rates(schedule)?;
        }
    }
    line("")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn when(schedule: &Value) -> String {
    let part = |name: &str| schedule[name].as_str().map(|day| format!("{name} {day}"));
    let list =
        |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let hours = &schedule["hours"];
    let hours = hours.is_object().then(|| {
        let except = list(&hours["except"]);
        let except = if except.is_empty() { String::new() } else { format!(", except {except}") };
        format!("{} {} UTC{except}", plain(&hours["days"]), list(&hours["utc"]))
    });
    let parts: Vec<_> = [part("from"), part("until"), hours].into_iter().flatten().collect();
    if parts.is_empty() { "always".to_owned() } else { parts.join(", ") }
}

/// USD per million tokens or characters, for one, or for an hour.
fn rates(schedule: &Value) -> Result<(), Failure> {
    let mut columns = Columns::new(&["    tier", "above", "rates: USD per million, for one, or for an hour"]);
    for tier in schedule["rates"].as_array().into_iter().flatten().filter_map(Value::as_object) {
        let rates = tier.iter().filter(|(name, _)| !matches!(name.as_str(), "tier" | "above" | "scope"));
        let mut rates: Vec<_> = rates.collect();
        rates.sort_by_key(|(name, _)| Kind::named(name));
        let rates: Vec<_> = rates.into_iter().map(|(name, rate)| format!("{name} {}", plain(rate))).collect();
        let name = tier.get("tier").map_or_else(|| "standard".to_owned(), plain);
        columns.row([format!("    {name}"), tier.get("above").map_or_else(String::new, plain), rates.join(", ")]);
    }
    columns.print()
}
