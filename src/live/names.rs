//! What the plan calls its scenarios and steps, which [`Progress`](crate::progress::Progress) names by position.

use crate::plan::Plan;
use crate::report::text::printable;

/// The names of the scenarios, each with those of its steps.
#[derive(Clone)]
pub(super) struct Names(Vec<(String, Vec<String>)>);

impl Names {
    pub(super) fn of(plan: &Plan) -> Self {
        let scenarios = plan.scenarios.iter().map(|planned| &planned.scenario);
        let names = scenarios.map(|scenario| {
            let steps = scenario.steps.iter().map(|step| printable(&step.name.clone().unwrap_or_else(|| step.action.to_string())));
            (printable(&scenario.name), steps.collect())
        });
        Self(names.collect())
    }

    pub(super) fn scenario(&self, scenario: usize) -> &str {
        self.0.get(scenario).map_or("", |(name, _)| name)
    }

    /// `step 1: apply chapter-07/pod-liveness.yaml`
    pub(super) fn step(&self, scenario: usize, step: usize) -> String {
        let name = self.0.get(scenario).and_then(|(_, steps)| steps.get(step)).map_or("", String::as_str);
        format!("step {}: {name}", step + 1)
    }
}
