//! Plays one case, and says what is not as it should be.

use super::Case;
use crate::rules::rehearsal::{Played, Rehearsal};

impl Case {
    /// On an empty ledger. `None` if all is well.
    pub fn wrong(&self, rehearsal: &mut Rehearsal) -> Option<String> {
        rehearsal.clear();
        let mut last = None;
        for _ in 0..self.repeat {
            match rehearsal.play(self.at, &self.actor, &self.request) {
                // Each costs what it could: so tables know what is left.
                Ok(played) => {
                    rehearsal.settle(self.at, &played, played.needs);
                    last = Some(played);
                }
                Err(why) => return Some(why.to_string()),
            }
        }
        self.compare(&last?)
    }

    fn compare(&self, played: &Played) -> Option<String> {
        let reason = played.sentence.as_deref().unwrap_or("no reason against it");
        let got = |what: String| Some(format!("{what} ({reason})"));
        if !self.wanted.is_met(played) {
            return got(format!("expected {}, got {}", self.wanted, played.word()));
        }
        let named = played.rule.as_deref().unwrap_or("none");
        if let Some(wanted) = self.rule.as_ref().filter(|wanted| !named.ends_with(wanted.as_str())) {
            return got(format!("expected the rule `{wanted}`, got `{named}`"));
        }
        if let Some(wanted) = self.tier.filter(|wanted| played.tier != Some(*wanted)) {
            let tier = played.tier.map_or("none", |tier| tier.as_str());
            return got(format!("expected the tier {wanted}, got {tier}"));
        }
        let wanted = self.risk.filter(|wanted| played.risk != *wanted)?;
        got(format!("expected {wanted} risk points, got {}", played.risk))
    }
}
