//! Relabelling: rules that change or drop label sets, of targets and of samples.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>

use md5::{Digest, Md5};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use tripod_model::series::{Labels, LabelsBuilder, RelabelStep};
use tripod_storage::series::pattern_to_rust;

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct RelabelRule {
    source_labels: Vec<String>,
    separator: String,
    /// As it was written.
    pattern: String,
    regex: Regex,
    /// 0 when there is none.
    modulus: u64,
    target_label: String,
    replacement: String,
    action: Action,
}

/// What a rule does with a label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

/// A rule as it stands in the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    source_labels: Option<Vec<String>>,
    separator: Option<String>,
    regex: Option<String>,
    modulus: Option<u64>,
    target_label: Option<String>,
    replacement: Option<String>,
    action: Option<String>,
}

impl TryFrom<Unchecked> for RelabelRule {
    type Error = String;

    fn try_from(rule: Unchecked) -> Result<Self, String> {
        let name = rule.action.as_deref().unwrap_or("replace").to_lowercase();
        let Some((name, action)) = ACTIONS.into_iter().find(|(each, _)| *each == name) else {
            return Err(format!("unknown relabel action {name:?}"));
        };
        let needs_target = matches!(
            action,
            Action::Replace
                | Action::HashMod
                | Action::Lowercase
                | Action::Uppercase
                | Action::KeepEqual
                | Action::DropEqual
        );
        if needs_target && rule.target_label.as_deref().unwrap_or("").is_empty() {
            return Err(format!("relabel configuration for {name} action requires 'target_label' value"));
        }
        if action == Action::HashMod && rule.modulus.unwrap_or(0) == 0 {
            return Err("relabel configuration for hashmod requires non-zero modulus".to_owned());
        }
        let only = |what: &str, others: &[bool]| {
            if others.contains(&true) {
                return Err(format!("{name} action requires only {what}, and no other fields"));
            }
            Ok(())
        };
        let Unchecked { source_labels, separator, regex, modulus, target_label, replacement, .. } = rule;
        match action {
            Action::KeepEqual | Action::DropEqual => only(
                "'source_labels' and 'target_label'",
                &[regex.is_some(), modulus.is_some(), separator.is_some(), replacement.is_some()],
            )?,
            Action::LabelDrop | Action::LabelKeep => only(
                "'regex'",
                &[
                    source_labels.is_some(),
                    target_label.is_some(),
                    modulus.is_some(),
                    separator.is_some(),
                    replacement.is_some(),
                ],
            )?,
            Action::Lowercase | Action::Uppercase if replacement.is_some() => {
                return Err(format!("'replacement' can not be set for {name} action"));
            }
            Action::LabelMap if replacement.as_deref() == Some("") => {
                return Err(format!("\"\" is invalid 'replacement' for {name} action"));
            }
            _ => {}
        }
        let pattern = regex.unwrap_or_else(|| "(.*)".to_owned());
        Ok(Self {
            source_labels: source_labels.unwrap_or_default(),
            separator: separator.unwrap_or_else(|| ";".to_owned()),
            regex: pattern_to_rust(&pattern)
                .and_then(|rust| Regex::new(&format!("^(?s:{rust})$")).map_err(|error| error.to_string()))
                .map_err(|error| format!("the regex {pattern:?} cannot be read: {error}"))?,
            pattern,
            modulus: modulus.unwrap_or(0),
            target_label: target_label.unwrap_or_default(),
            replacement: replacement.unwrap_or_else(|| "$1".to_owned()),
            action,
        })
    }
}

/// Applies the rules in their order. False when one of them drops the label set.
pub fn relabel(rules: &[RelabelRule], labels: &mut LabelsBuilder) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

/// Applies the rules in their order and says what each does.
pub fn relabel_steps(rules: &[RelabelRule], labels: &Labels) -> Vec<RelabelStep> {
    let mut labels = labels.clone();
    let mut keep = true;
    let step = |rule: &RelabelRule| {
        let mut output = labels.to_builder();
        keep = keep && rule.apply(&mut output);
        labels = if keep { output.build() } else { Labels::default() };
        RelabelStep { rule: rule.to_json().to_string(), output: labels.clone(), keep }
    };
    rules.iter().map(step).collect()
}

impl RelabelRule {
    /// The rule with its defaults, as Prometheus shows it.
    pub(super) fn to_json(&self) -> Value {
        let action = ACTIONS.iter().find(|(_, action)| *action == self.action).map_or("", |(name, _)| name);
        let mut rule = json!({
            "separator": self.separator, "regex": self.pattern, "replacement": self.replacement, "action": action,
        });
        if !self.source_labels.is_empty() {
            rule["source_labels"] = json!(self.source_labels);
        }
        if self.modulus != 0 {
            rule["modulus"] = json!(self.modulus);
        }
        if !self.target_label.is_empty() {
            rule["target_label"] = json!(self.target_label);
        }
        rule
    }

    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let mut value = String::new();
        for (index, name) in self.source_labels.iter().enumerate() {
            if index > 0 {
                value.push_str(&self.separator);
            }
            value.push_str(labels.get(name).unwrap_or(""));
        }
        match self.action {
            Action::Keep => return self.regex.is_match(&value),
            Action::Drop => return !self.regex.is_match(&value),
            Action::KeepEqual => return labels.get(&self.target_label).unwrap_or("") == value,
            Action::DropEqual => return labels.get(&self.target_label).unwrap_or("") != value,
            Action::Replace => {
                if let Some(captures) = self.regex.captures(&value) {
                    let mut target = String::new();
                    captures.expand(&self.target_label, &mut target);
                    let mut replaced = String::new();
                    captures.expand(&self.replacement, &mut replaced);
                    if !target.is_empty() {
                        set(labels, &target, &replaced);
                    }
                }
            }
            Action::Lowercase => set(labels, &self.target_label, &value.to_lowercase()),
            Action::Uppercase => set(labels, &self.target_label, &value.to_uppercase()),
            Action::HashMod => {
                // The last eight bytes only, for Prometheus' sake.
                let hash = u128::from_be_bytes(Md5::digest(value.as_bytes()).into()) as u64;
                set(labels, &self.target_label, &hash.checked_rem(self.modulus).unwrap_or(0).to_string());
            }
            Action::LabelMap => {
                let mapped: Vec<_> = labels
                    .iter()
                    .filter(|(name, _)| self.regex.is_match(name))
                    .map(|(name, value)| {
                        (self.regex.replace_all(name, self.replacement.as_str()).into_owned(), value.to_owned())
                    })
                    .collect();
                for (name, value) in mapped {
                    set(labels, &name, &value);
                }
            }
            Action::LabelDrop => labels.retain(|name| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name| self.regex.is_match(name)),
        }
        true
    }
}

fn set(labels: &mut LabelsBuilder, name: &str, value: &str) {
    labels.set(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(yaml: &str) -> Result<RelabelRule, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    fn check(rules: &[&str], before: &[(&str, &str)], after: Option<&[(&str, &str)]>) {
        let parsed: Vec<_> = rules.iter().map(|text| rule(text).unwrap()).collect();
        let mut labels = Labels::from_pairs(before.iter().copied()).to_builder();
        let kept = relabel(&parsed, &mut labels).then(|| labels.build());
        assert_eq!(kept, after.map(|after| Labels::from_pairs(after.iter().copied())), "{rules:?}");
    }

    #[test]
    fn every_action_does_what_prometheus_does() {
        let labels: &[(&str, &str)] = &[("a", "foo"), ("b", "bar"), ("c", "baz")];
        check(
            &["{source_labels: [a], regex: 'f(.*)', target_label: d, separator: ';', replacement: 'ch${1}-ch${1}'}"],
            labels,
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")]),
        );
        check(
            &[
                "{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: 'b${1}${2}m'}",
                "{source_labels: [c, a], regex: '(b).*b(.*)ba(.*)', target_label: d, replacement: '$1$2$2$3'}",
            ],
            labels,
            Some(&[("a", "boobam"), ("b", "bar"), ("c", "baz"), ("d", "boooom")]),
        );
        check(&["{source_labels: [a], regex: '.*o.*', action: drop}"], labels, None);
        check(&["{source_labels: [a], regex: 'o', action: drop}"], labels, Some(labels));
        check(&["{source_labels: [a], regex: 'no-match', action: KEEP}"], labels, None);
        check(&["{source_labels: [a], regex: 'f|foo', action: keep}"], labels, Some(labels));
        // An empty replacement removes the label.
        check(&["{source_labels: [a], target_label: b, replacement: ''}"], labels, Some(&[("a", "foo"), ("c", "baz")]));
        check(&["{regex: '', target_label: e, replacement: x}"], &[("a", "1")], Some(&[("a", "1"), ("e", "x")]));
        check(
            &["{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}"],
            labels,
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "976")]),
        );
        check(
            &["{regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}"],
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            Some(&[("a", "foo"), ("b1", "bar"), ("b2", "baz"), ("bar_b1", "bar"), ("bar_b2", "baz")]),
        );
        check(&["{regex: '(b.*)', action: labeldrop}"], labels, Some(&[("a", "foo"), ("c", "baz")]));
        check(&["{regex: '(b.*)', action: labelkeep}"], labels, Some(&[("b", "bar")]));
        check(
            &[
                "{source_labels: [a], target_label: a, action: uppercase}",
                "{source_labels: [a], target_label: d, action: lowercase}",
            ],
            &[("a", "Foo")],
            Some(&[("a", "FOO"), ("d", "foo")]),
        );
        for (action, target, kept) in
            [("keepequal", "b", true), ("keepequal", "a", false), ("dropequal", "b", false), ("dropequal", "a", true)]
        {
            let labels: &[(&str, &str)] = &[("a", "x"), ("b", "y"), ("c", "y")];
            let text = format!("{{source_labels: [c], target_label: {target}, action: {action}}}");
            check(&[&text], labels, kept.then_some(labels));
        }
        // The target may be made of groups too; what makes no name changes nothing.
        check(
            &["{source_labels: [a], regex: '(f).*', target_label: '${1}_x', replacement: '$$$1'}"],
            &[("a", "foo")],
            Some(&[("a", "foo"), ("f_x", "$f")]),
        );
        check(&["{source_labels: [a], regex: '(z)?.*', target_label: '$1', replacement: x}"], labels, Some(labels));
    }

    #[test]
    fn what_each_rule_does_is_told() {
        let rules = [
            "{source_labels: [a], target_label: b}",
            "{source_labels: [a], regex: x, action: drop}",
            "{regex: c, action: labeldrop}",
        ];
        let rules: Vec<_> = rules.iter().map(|text| rule(text).unwrap()).collect();
        let steps = relabel_steps(&rules, &Labels::from_pairs([("a", "x")]));
        let shown: Vec<_> = steps.iter().map(|step| (step.output.len(), step.keep)).collect();
        assert_eq!(shown, [(2, true), (0, false), (0, false)]);
        assert_eq!(
            serde_json::from_str::<Value>(&steps[0].rule).unwrap(),
            json!({"source_labels": ["a"], "separator": ";", "regex": "(.*)", "target_label": "b", "replacement": "$1", "action": "replace"})
        );
    }

    #[test]
    fn rules_that_cannot_work_are_refused() {
        for (text, message) in [
            ("{action: foo}", "unknown relabel action"),
            ("{action: replace}", "requires 'target_label'"),
            ("{action: hashmod, target_label: a}", "non-zero modulus"),
            ("{action: labeldrop, regex: a, source_labels: [a]}", "requires only 'regex'"),
            ("{action: keepequal, source_labels: [a], target_label: b, regex: x}", "requires only 'source_labels'"),
            ("{action: lowercase, target_label: b, replacement: x}", "can not be set"),
            ("{regex: '(', target_label: a}", "cannot be read"),
            ("{target_lable: a}", "target_lable"),
        ] {
            let error = rule(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
