//! The report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.
//!
//! Everything a person or a program wrote is escaped; nothing in it is markup. The pictures are drawn by [`super::svg`].

use super::super::words;
use super::{Rto, svg, utc};
use super::{forecast, people};
use crate::incident::Evidence;
use crate::journal::{JOURNAL_FILE, RECIPE, Role};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid #ccc}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #eee}\
th{font-weight:600}pre{background:#f5f5f5;padding:.75rem;overflow-x:auto;white-space:pre-wrap;word-break:break-all}\
svg{width:100%;height:auto}code,.hash{font-family:ui-monospace,monospace;font-size:.85em;color:#555}\
.bad{color:#a40000;font-weight:600}ul{padding-left:1.2rem;margin:.25rem 0}@media print{body{margin:0}}";

/// Text that means itself, on one line.
pub(super) fn escaped(text: &str) -> String {
    verbatim(&words::one_line(text))
}

/// Text that means itself, with its lines.
fn verbatim(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => plain += "&amp;",
            '<' => plain += "&lt;",
            '>' => plain += "&gt;",
            '"' => plain += "&quot;",
            '\'' => plain += "&#39;",
            '\n' => plain.push('\n'),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

/// A page as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    fn raw(&mut self, markup: &str) {
        self.0 += markup;
        self.0.push('\n');
    }

    fn line(&mut self, tag: &str, text: &str) {
        self.raw(&format!("<{tag}>{}</{tag}>", escaped(text)));
    }

    fn code(&mut self, text: &str) {
        self.raw(&format!("<pre>{}</pre>", verbatim(text)));
    }

    fn list(&mut self, title: &str, items: impl Iterator<Item = String>) {
        let items: Vec<String> = items.map(|text| format!("<li>{}</li>", escaped(&text))).collect();
        if !items.is_empty() {
            self.line("h2", title);
            self.raw(&format!("<ul>\n{}\n</ul>", items.join("\n")));
        }
    }

    fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) {
        let cells = |tag: &str, cells: &[&str]| {
            let cells: Vec<String> =
                cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
            cells.concat()
        };
        self.raw(&format!("<table>\n<tr>{}</tr>", cells("th", columns)));
        for row in rows {
            let row: Vec<&str> = row.iter().map(String::as_str).collect();
            self.raw(&format!("<tr>{}</tr>", cells("td", &row)));
        }
        self.raw("</table>");
    }
}

/// The report as HTML.
pub fn html(evidence: &Evidence) -> String {
    let view = &evidence.view;
    let mut page = Page::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width\">");
    page.line("title", &format!("Incident {}", view.id));
    page.raw(&format!("<style>{STYLE}</style>\n</head>\n<body>"));
    head(&mut page, evidence);
    page.line("h2", "Recovery time and loss");
    page.raw(&svg::clocks(view));
    for remark in &evidence.remarks {
        page.line("p", remark);
    }
    if !view.phases.is_empty() {
        page.line("h2", "Course");
        page.raw(&svg::course(evidence));
        let rows = view.phases.iter().map(|phase| {
            let at = view.marks.get(&phase.to).map_or(String::new(), |at| utc(*at));
            vec![phase.name.clone(), words::exact(phase.took_ms), words::moment(phase.to).to_owned(), at]
        });
        page.table(&["phase", "took", "until", "UTC"], &rows.collect::<Vec<_>>());
    }
    for one in forecast::scored(evidence) {
        page.line("h2", "Forecast against actual");
        page.line("p", &forecast::lead(&one));
        page.table(&forecast::COLUMNS.map(|(title, _)| title), &forecast::rows(&one));
    }
    with_people(&mut page, evidence);
    work(&mut page, evidence);
    record(&mut page, evidence);
    page.raw("</body>\n</html>");
    page.0
}

fn head(page: &mut Page, evidence: &Evidence) {
    let (view, standing) = (&evidence.view, &evidence.view.standing);
    page.line("h1", &format!("Incident {}", view.id));
    let label = view.label.as_ref().map_or(String::new(), |label| format!(" ({label})"));
    let mut rows = vec![
        vec!["stanza".to_owned(), format!("{}{label}", view.stanza)],
        vec!["reason".to_owned(), view.reason.clone()],
        vec!["detected".to_owned(), utc(view.detected_at)],
        vec!["declared".to_owned(), utc(view.declared_at)],
        vec!["closed".to_owned(), view.closed_at.map_or("still open".to_owned(), utc)],
        vec!["people".to_owned(), evidence.operators().collect::<Vec<_>>().join(", ")],
    ];
    rows.extend(standing.severity.map(|severity| vec!["severity".to_owned(), severity.said().to_owned()]));
    rows.extend(standing.scenario.map(|scenario| vec!["kind".to_owned(), scenario.said().to_owned()]));
    for role in Role::ALL {
        rows.extend(standing.holder(*role).map(|holder| vec![role.said().to_owned(), holder.to_owned()]));
    }
    rows.extend(evidence.closing.as_ref().map(|closing| vec!["outcome".to_owned(), closing.text.clone()]));
    rows.push(vec!["recovery time".to_owned(), verdict(Rto::of(view))]);
    page.table(&["", ""], &rows);
}

fn verdict(rto: Rto) -> String {
    let target = words::clock(rto.target_s.saturating_mul(1000));
    rto.actual_ms.map_or_else(
        || format!("target {target}; {}", rto.verdict()),
        |ms| format!("{} of {target}: {}", words::exact(ms), rto.verdict()),
    )
}

fn with_people(page: &mut Page, evidence: &Evidence) {
    let standing = &evidence.view.standing;
    if !evidence.decisions.is_empty() {
        page.line("h2", "Decisions");
        page.raw("<ul>");
        for decision in &evidence.decisions {
            let text = format!("{} {}: {}", utc(decision.at), decision.by, people::decided(decision));
            let findings = decision.findings.iter().map(|finding| format!("<li>{}</li>", escaped(finding)));
            let findings: String = findings.collect();
            page.raw(&format!("<li>{}<ul>{findings}</ul></li>", escaped(&text)));
        }
        page.raw("</ul>");
    }
    for list in people::begun(standing) {
        page.line("h2", &format!("Checklist {list}"));
        page.table(&["item", "how", "who", "what"], &people::rows(standing, &list));
    }
    page.list("Tasks", standing.tasks.iter().map(people::task_text));
    if !standing.messages.is_empty() {
        page.line("h2", "Messages");
    }
    for message in &standing.messages {
        page.line("p", &people::message_head(message));
        page.code(&message.text);
    }
    page.list("Follow-ups", standing.follow_ups.iter().map(people::follow_up_text));
}

fn work(page: &mut Page, evidence: &Evidence) {
    if !evidence.confirmed.is_empty() {
        page.line("h2", "What was confirmed");
    }
    for plan in &evidence.confirmed {
        page.line("p", &plan.summary);
        page.line(
            "p",
            &format!("Confirmed by {} at {}; operation {}.", plan.by, utc(plan.at), plan.operation),
        );
        page.code(&plan.command);
    }
    for operation in &evidence.operations {
        page.line("h2", &format!("Operation {}", operation.id));
        let rows = operation.steps.iter();
        let rows =
            rows.map(|step| vec![step.name.clone(), words::duration(step.took_ms), step.detail.clone()]);
        page.table(&["step", "took", "result"], &rows.collect::<Vec<_>>());
        operation.lines.iter().for_each(|line| page.line("p", line));
    }
    let said =
        |said: &crate::incident::evidence::Said| format!("{} {}: {}", utc(said.at), said.by, said.text);
    page.list("Warnings", evidence.warnings.iter().map(said));
    page.list("Notes", evidence.notes.iter().map(said));
}

fn record(page: &mut Page, evidence: &Evidence) {
    page.line("h2", "Record");
    let rows = evidence.view.lines.iter().map(|line| {
        let at = line.at.to_utc().format("%Y-%m-%d %H:%M:%S%.3f").to_string();
        vec![line.seq.to_string(), at, line.actor.clone(), line.text.clone(), line.hash_tail.clone()]
    });
    page.table(&["#", "UTC", "who", "what", "hash"], &rows.collect::<Vec<_>>());
    page.line("h2", "Proof");
    let verification = &evidence.verification;
    let class = if verification.ok { "" } else { " class=\"bad\"" };
    page.raw(&format!("<p{class}>{}</p>", escaped(&verification.sentence())));
    verification.findings.iter().for_each(|finding| page.line("p", &finding.to_string()));
    page.line("p", &format!("End of the chain of {JOURNAL_FILE}:"));
    page.code(&verification.end.to_string());
    page.line(
        "p",
        "With stock tools, in the folder of the journal, by bash; only the last line is to appear:",
    );
    page.code(RECIPE);
}
