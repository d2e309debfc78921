//! What holds for every workload.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::{collection::vec, option, prelude::*};
use workload::{Answer, Effect, Growth, Listen, Process, Reaction, Signal, Signals, Size, Span, Start, Timer, Workload};

fn span(range: std::ops::Range<u64>) -> impl Strategy<Value = Span> {
    range.prop_map(|millis| Span(Duration::from_millis(millis)))
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let growth = (1..9_u64, option::of(span(50..900))).prop_map(|(take, every)| Growth { take: Size(take), every });
    let answer = (span(0..5_000), option::of(0..3_u32), 200..600_u16, option::of("[a-z{}]{0,9}"), option::of(growth)).prop_map(
        |(until, times, status, log, memory)| Answer {
            until: Some(until),
            times,
            status: Some(status),
            log,
            memory,
            ..Answer::default()
        },
    );
    vec(answer, 1..4).prop_map(|mut answers| {
        if let Some(last) = answers.last_mut() {
            (last.until, last.times) = (None, None);
        }
        answers
    })
}

fn timer() -> impl Strategy<Value = Timer> {
    (span(0..5_000), option::of(span(50..2_000)), "[a-z]{1,5}", option::of(1..9_u64), option::weighted(0.2, any::<u8>())).prop_map(
        |(after, every, log, memory, exit)| Timer {
            after,
            every: every.filter(|_| exit.is_none()),
            log: Some(log),
            memory: memory.map(Size),
            exit,
        },
    )
}

prop_compose! {
    fn workload()(
        after in option::of(span(0..3_000)),
        root in answers(),
        other in answers(),
        timers in vec(timer(), 0..4),
        term in option::of((any::<u8>(), option::of(span(0..3_000)))),
    ) -> Workload {
        Workload {
            image: "a:1".into(),
            aliases: vec![],
            about: None,
            listen: Some(Listen { port: 8080, port_env: None, after, after_env: None, log: Some("on".into()) }),
            log: vec!["start".into()],
            http: BTreeMap::from([("/".into(), root), ("*".into(), other)]),
            grpc: BTreeMap::new(),
            timers,
            on: Signals { term: term.map(|(exit, after)| Reaction { exit, after, log: None }) },
            shell: true,
            run: vec![],
        }
    }
}

/// What the outside does to a process.
#[derive(Debug, Clone)]
enum Input {
    Wait,
    Get(&'static str),
    Term,
}

fn inputs() -> impl Strategy<Value = Vec<(Duration, Input)>> {
    let input = prop_oneof![Just(Input::Wait), Just(Input::Get("/")), Just(Input::Get("/x?y")), Just(Input::Term).boxed()];
    vec(((0..800_u64).prop_map(Duration::from_millis), input), 0..20).prop_map(|steps| {
        let mut now = Duration::ZERO;
        steps
            .into_iter()
            .map(|(gap, input)| {
                now += gap;
                (now, input)
            })
            .collect()
    })
}

/// Plays; between two inputs either wakes at each wake-up or lets the next input make up for them.
fn play(workload: &Workload, inputs: &[(Duration, Input)], eager: bool) -> (Vec<Effect>, Process) {
    let (mut process, mut effects) = Process::start(Arc::new(workload.clone()), &Start::default()).unwrap();
    for (now, input) in inputs {
        while let Some(at) = process.next_wakeup().filter(|at| eager && at <= now) {
            effects.extend(process.advance(at));
        }
        effects.extend(match input {
            Input::Wait => process.advance(*now),
            Input::Get(path) => process.request(*now, path).1,
            Input::Term => process.signal(*now, Signal::Term),
        });
    }
    (effects, process)
}

proptest! {
    #[test]
    fn every_workload_survives_its_file(workload in workload()) {
        prop_assert_eq!(Workload::from_json(&workload.to_json()).unwrap(), workload);
    }

    #[test]
    fn the_same_inputs_have_the_same_effects(workload in workload(), inputs in inputs()) {
        prop_assert_eq!(play(&workload, &inputs, true).0, play(&workload, &inputs, true).0);
    }

    #[test]
    fn waking_late_changes_no_effect(workload in workload(), inputs in inputs()) {
        prop_assert_eq!(play(&workload, &inputs, true).0, play(&workload, &inputs, false).0);
    }

    #[test]
    fn wake_ups_lie_ahead_and_an_exit_is_the_end(workload in workload(), inputs in inputs()) {
        let (effects, process) = play(&workload, &inputs, false);
        let last = inputs.last().map_or(Duration::ZERO, |(now, _)| *now);
        prop_assert!(process.next_wakeup().is_none_or(|at| at > last));
        let exits: Vec<_> = (0..).zip(&effects).filter_map(|(index, effect)| match effect {
            Effect::Exit(code) => Some((index, *code)),
            _ => None,
        }).collect();
        match process.exit_code() {
            None => prop_assert!(exits.is_empty()),
            Some(code) => prop_assert_eq!(exits, [(effects.len() - 1, code)]),
        }
    }

    #[test]
    fn memory_only_grows(workload in workload(), inputs in inputs()) {
        let (effects, process) = play(&workload, &inputs, false);
        let taken: Vec<_> = effects.iter().filter_map(|effect| match effect {
            Effect::Memory(bytes) => Some(*bytes),
            _ => None,
        }).collect();
        prop_assert!(taken.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(taken.last().copied().unwrap_or_default(), process.memory());
    }

    #[test]
    fn no_script_panics(script in "([a-z ]|sleep |exit |echo |while |if |for i in |do |done|then |fi|true|[0-9.smhd]|&&|\\|\\||[;\n'\"$#\\\\{}]|\\PC){0,40}") {
        let start = Start { command: vec!["sh".into(), "-c".into(), script], ..Start::default() };
        let workload = Workload::from_yaml("{image: 'a:1', shell: true}").unwrap();
        let (mut process, _) = Process::start(Arc::new(workload), &start).unwrap();
        let mut before = Duration::ZERO;
        // A loop may have no end.
        for _ in 0..100 {
            let Some(at) = process.next_wakeup() else { break };
            prop_assert!(at >= before);
            process.advance(at);
            before = at;
        }
    }
}
