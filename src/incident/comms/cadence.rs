//! The cadence: how often whom is told, by severity and the time since the declaration, and what is due next.
//!
//! Pure. Works on the wall clock, for that is what people read.

use crate::base::Timestamp;
use crate::config::site::{AudienceSite, CadenceSite, SeveritySite};
use crate::incident::{IncidentView, words};
use crate::journal::{Audience, Severity};
use serde::Serialize;
use std::time::Duration;

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    audience: Audience,
    /// Every severity, if it is missing.
    severity: Option<Severity>,
    /// The time since the declaration from which on it holds.
    after_s: u64,
    first_s: u64,
    every_s: u64,
}

/// The table of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    rules: Vec<Rule>,
}

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 3600;

/// What the program ships: internal every 15 minutes, external every 30; with SEV1 the first ones sooner; after four
/// hours half as often, for by then everybody knows that it takes long.
const SHIPPED: &[Rule] = &[
    shipped(Audience::Internal, None, 0, 15, 15),
    shipped(Audience::Internal, Some(Severity::Sev1), 0, 5, 15),
    shipped(Audience::Internal, None, 4 * HOUR_S, 30, 30),
    shipped(Audience::External, None, 0, 30, 30),
    shipped(Audience::External, Some(Severity::Sev1), 0, 15, 30),
    shipped(Audience::External, None, 4 * HOUR_S, 60, 60),
];

const fn shipped(
    audience: Audience,
    severity: Option<Severity>,
    after_s: u64,
    first_minutes: u64,
    every_minutes: u64,
) -> Rule {
    Rule { audience, severity, after_s, first_s: first_minutes * MINUTE_S, every_s: every_minutes * MINUTE_S }
}

/// When an audience is to be told next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Due {
    /// Whom.
    pub audience: Audience,
    /// When it was told last.
    pub last: Option<Timestamp>,
    /// When it is to be told next.
    pub at: Timestamp,
    /// How often, seconds.
    pub every_s: u64,
}

impl Due {
    /// How late it is, milliseconds; nothing while there is time.
    pub fn late_ms(&self, now: Timestamp) -> Option<u64> {
        u64::try_from(now.0.saturating_sub(self.at.0) / 1000).ok().filter(|ms| *ms > 0)
    }

    /// When it is, in words: `due in 2m17`, `LATE by 3m12`.
    pub fn said(&self, now: Timestamp) -> String {
        self.late_ms(now).map_or_else(
            || {
                let left_ms = u64::try_from(self.at.0.saturating_sub(now.0) / 1000).unwrap_or(0);
                format!("due in {}", words::duration(left_ms))
            },
            |ms| format!("LATE by {}", words::duration(ms)),
        )
    }
}

impl Table {
    /// The table of a stanza: its lines take the place of all that is shipped for their audience.
    pub fn new(lines: &[CadenceSite]) -> Self {
        let own: Vec<Rule> = lines.iter().flat_map(rules).collect();
        let is_shipped = |rule: &&Rule| !own.iter().any(|known| known.audience == rule.audience);
        let mut rules: Vec<Rule> = SHIPPED.iter().filter(is_shipped).copied().collect();
        rules.extend(own);
        Self { rules }
    }

    /// The rule for an audience at this time since the declaration: the latest that holds already, and of these the one
    /// for this severity.
    fn rule(&self, audience: Audience, severity: Option<Severity>, since_s: u64) -> Option<&Rule> {
        let holds = |rule: &&Rule| {
            rule.audience == audience
                && rule.after_s <= since_s
                && (rule.severity.is_none() || rule.severity == severity)
        };
        self.rules.iter().filter(holds).max_by_key(|rule| (rule.after_s, rule.severity.is_some()))
    }

    /// What is due next; nothing once the incident is closed.
    pub fn due(&self, view: &IncidentView) -> Vec<Due> {
        let declared = view.declared_at;
        let due = |audience: &Audience| {
            let last = view.standing.told.get(audience).copied();
            let from = last.unwrap_or(declared);
            let since_s = u64::try_from(from.0.saturating_sub(declared.0) / 1_000_000).unwrap_or(0);
            let rule = self.rule(*audience, view.standing.severity, since_s)?;
            let wait_s = if last.is_some() { rule.every_s } else { rule.first_s };
            let later_us = i64::try_from(wait_s.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
            let at = Timestamp(from.0.saturating_add(later_us));
            Some(Due { audience: *audience, last, at, every_s: rule.every_s })
        };
        let open = view.closed_at.is_none();
        Audience::ALL.iter().filter(|_| open).filter_map(due).collect()
    }
}

fn rules(line: &CadenceSite) -> impl Iterator<Item = Rule> {
    let severity = line.severity.map(|severity| match severity {
        SeveritySite::Sev1 => Severity::Sev1,
        SeveritySite::Sev2 => Severity::Sev2,
        SeveritySite::Sev3 => Severity::Sev3,
        SeveritySite::Sev4 => Severity::Sev4,
    });
    let (every_s, first_s) = (line.every.as_secs(), line.first.unwrap_or(line.every).as_secs());
    let after_s = line.after.map_or(0, |after: Duration| after.as_secs());
    let rule = move |audience| Rule { audience, severity, after_s, first_s, every_s };
    audiences(line.audience).iter().copied().map(rule)
}

/// Who is meant.
pub(super) fn audiences(site: AudienceSite) -> &'static [Audience] {
    match site {
        AudienceSite::Internal => &[Audience::Internal],
        AudienceSite::External => &[Audience::External],
        AudienceSite::Both => Audience::ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(severity: Option<Severity>, told: &[(Audience, i64)]) -> IncidentView {
        let mut view = IncidentView { declared_at: Timestamp::from_unix_s(0), ..IncidentView::default() };
        view.standing.severity = severity;
        view.standing.told =
            told.iter().map(|(audience, minute)| (*audience, Timestamp::from_unix_s(minute * 60))).collect();
        view
    }

    /// Minutes at which internal and external are due.
    fn due(table: &Table, view: &IncidentView) -> Vec<i64> {
        table.due(view).iter().map(|due| due.at.0 / 60_000_000).collect()
    }

    #[test]
    fn the_shipped_table_by_severity_and_time() {
        let table = Table::new(&[]);
        assert_eq!(due(&table, &view(None, &[])), [15, 30]);
        assert_eq!(due(&table, &view(Some(Severity::Sev1), &[])), [5, 15]);
        assert_eq!(due(&table, &view(Some(Severity::Sev3), &[])), [15, 30]);
        let told = [(Audience::Internal, 7), (Audience::External, 200)];
        assert_eq!(due(&table, &view(Some(Severity::Sev1), &told)), [22, 230]);
        let told = [(Audience::Internal, 240), (Audience::External, 241)];
        assert_eq!(due(&table, &view(Some(Severity::Sev1), &told)), [270, 301]);
        let closed = IncidentView { closed_at: Some(Timestamp::from_unix_s(1)), ..view(None, &[]) };
        assert_eq!(due(&table, &closed), Vec::<i64>::new());
    }

    #[test]
    fn lines_of_the_site_take_the_place_of_the_shipped_ones_for_their_audience() {
        let line = |severity, first: Option<u64>, every: u64| CadenceSite {
            audience: AudienceSite::External,
            severity,
            after: None,
            first: first.map(Duration::from_secs),
            every: Duration::from_secs(every),
        };
        let table = Table::new(&[line(None, None, 3600), line(Some(SeveritySite::Sev2), Some(600), 1200)]);
        assert_eq!(due(&table, &view(Some(Severity::Sev1), &[])), [5, 60]);
        assert_eq!(due(&table, &view(Some(Severity::Sev2), &[])), [15, 10]);
        assert_eq!(due(&table, &view(Some(Severity::Sev2), &[(Audience::External, 10)])), [15, 30]);
    }

    #[test]
    fn late_is_what_is_past() {
        let due = Table::new(&[]).due(&view(None, &[]))[0];
        assert_eq!(due.late_ms(due.at), None);
        assert_eq!(due.late_ms(Timestamp(due.at.0 + 60_000_000)), Some(60_000));
        let said = |later_s: i64| due.said(Timestamp(due.at.0 + later_s * 1_000_000));
        assert_eq!(
            (said(-137), said(0), said(192)),
            ("due in 2m17".to_owned(), "due in 0.0 s".to_owned(), "LATE by 3m12".to_owned(),)
        );
    }
}
