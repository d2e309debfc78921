//! The image's own program: timers, answers, signals.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    model::{Answer, Growth, Listen, Workload},
    process::{Check, Output, Reply, Signal, Start},
    quantity::Span,
};

/// What Go's `http.NotFound` answers; the course's servers are Go programs.
const NOT_FOUND: &str = "404 page not found\n";

#[derive(Debug, Clone)]
pub(crate) struct Server {
    workload: Arc<Workload>,
    env: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    port: Option<u16>,
    listening: bool,
    /// How often each answer was given, by path (as the workload names it) and index.
    given: BTreeMap<(String, usize), u32>,
    agenda: Vec<Due>,
}

/// Something that happens at a time. Of two at the same time the one noted first is first.
#[derive(Debug, Clone, Copy)]
struct Due {
    at: Duration,
    event: Event,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Start,
    Listen,
    Timer(usize),
    Grow(Growth),
    Exit(u8),
}

impl Server {
    pub(crate) fn new(workload: Arc<Workload>, start: &Start) -> Self {
        let mut server = Self {
            env: start.env.clone(),
            files: start.files.clone(),
            port: None,
            listening: false,
            given: BTreeMap::new(),
            agenda: vec![Due { at: Duration::ZERO, event: Event::Start }],
            workload,
        };
        for (index, timer) in server.workload.timers.iter().enumerate() {
            server.agenda.push(Due { at: timer.after.0, event: Event::Timer(index) });
        }
        server
    }

    pub(crate) fn next_wakeup(&self) -> Option<Duration> {
        self.agenda.iter().map(|due| due.at).min()
    }

    pub(crate) fn listening(&self) -> Option<u16> {
        self.port.filter(|_| self.listening)
    }

    pub(crate) fn advance(&mut self, now: Duration, output: &mut Output) {
        while !output.has_exited()
            && let Some(due) = self.next_due(now)
        {
            self.happen(due, output);
        }
    }

    pub(crate) fn request(&mut self, now: Duration, path: &str, output: &mut Output) -> Reply {
        if !self.listening {
            return Reply::Refused;
        }
        let workload = Arc::clone(&self.workload);
        let path = path.split('?').next().unwrap_or_default();
        let Some((path, answers)) = workload.http.get_key_value(path).or_else(|| workload.http.get_key_value("*")) else {
            return Reply::Answer { status: 404, body: NOT_FOUND.to_owned(), delay: Duration::ZERO };
        };
        let Some((index, answer)) = self.choose(now, path, answers) else {
            return Reply::Answer { status: 404, body: NOT_FOUND.to_owned(), delay: Duration::ZERO };
        };
        let given = self.given.entry((path.clone(), index)).or_default();
        *given = given.saturating_add(1);
        if let Some(line) = &answer.log {
            output.log(self.fill(line));
        }
        if let Some(growth) = answer.memory {
            self.agenda.push(Due { at: now, event: Event::Grow(growth) });
            self.advance(now, output);
        }
        if answer.hang {
            return Reply::Never;
        }
        Reply::Answer { status: answer.status.unwrap_or(200), body: self.body(answer), delay: answer.delay.unwrap_or_default().0 }
    }

    pub(crate) fn check(&self, now: Duration, service: &str) -> Check {
        if !self.listening || self.workload.grpc.is_empty() {
            return Check::Refused;
        }
        let mut states = self.workload.grpc.get(service).into_iter().flatten();
        let current = states.find(|state| state.until.is_none_or(|until| now < until.0));
        current.map_or(Check::Unknown, |state| Check::Status(state.status))
    }

    pub(crate) fn reacts_to(&self, signal: Signal) -> bool {
        match signal {
            Signal::Term => self.workload.on.term.is_some(),
        }
    }

    pub(crate) fn signal(&mut self, now: Duration, signal: Signal, output: &mut Output) {
        let reaction = match signal {
            Signal::Term => &self.workload.on.term,
        };
        let Some(reaction) = reaction else { return };
        if let Some(line) = &reaction.log {
            output.log(self.fill(line));
        }
        if let Some(at) = now.checked_add(reaction.after.unwrap_or_default().0) {
            self.agenda.push(Due { at, event: Event::Exit(reaction.exit) });
        }
        self.advance(now, output);
    }

    fn next_due(&mut self, now: Duration) -> Option<Due> {
        let (index, _) = self.agenda.iter().enumerate().filter(|(_, due)| due.at <= now).min_by_key(|(_, due)| due.at)?;
        Some(self.agenda.remove(index))
    }

    fn happen(&mut self, due: Due, output: &mut Output) {
        match due.event {
            Event::Start => self.begin(output),
            Event::Listen => self.listen(output),
            Event::Timer(index) => self.ring(due.at, index, output),
            Event::Grow(growth) => {
                output.take(growth.take.0);
                self.again(due.at, growth.every, Event::Grow(growth));
            }
            Event::Exit(code) => output.exit(code),
        }
    }

    fn begin(&mut self, output: &mut Output) {
        let workload = Arc::clone(&self.workload);
        let Some(listen) = &workload.listen else {
            workload.log.iter().for_each(|line| output.log(self.fill(line)));
            return;
        };
        let ready = self.settings(listen);
        workload.log.iter().for_each(|line| output.log(self.fill(line)));
        match ready {
            Ok(at) if at.is_zero() => self.listen(output),
            Ok(at) => self.agenda.push(Due { at, event: Event::Listen }),
            Err(message) => {
                output.log(message);
                output.exit(1);
            }
        }
    }

    /// Takes the port from the environment; returns the time at which it listens.
    fn settings(&mut self, listen: &Listen) -> Result<Duration, String> {
        let variable = |name: &Option<String>| {
            let value = self.env.get(name.as_ref()?)?;
            (!value.is_empty()).then(|| value.clone())
        };
        let (port, after) = (variable(&listen.port_env), variable(&listen.after_env));
        self.port = Some(match port {
            Some(value) => value.parse().map_err(|_| format!("listen tcp: address {value}: invalid port"))?,
            None => listen.port,
        });
        match after {
            Some(value) => delay(&value).ok_or_else(|| format!("invalid delay: {value}")),
            None => Ok(listen.after.unwrap_or_default().0),
        }
    }

    fn listen(&mut self, output: &mut Output) {
        let Some(port) = self.port else { return };
        self.listening = true;
        output.listen(port);
        if let Some(line) = self.workload.listen.as_ref().and_then(|listen| listen.log.as_ref()) {
            output.log(self.fill(line));
        }
    }

    fn ring(&mut self, at: Duration, index: usize, output: &mut Output) {
        let workload = Arc::clone(&self.workload);
        let Some(timer) = workload.timers.get(index) else {
            return;
        };
        if let Some(line) = &timer.log {
            output.log(self.fill(line));
        }
        if let Some(size) = timer.memory {
            output.take(size.0);
        }
        if let Some(code) = timer.exit {
            output.exit(code);
        }
        self.again(at, timer.every, Event::Timer(index));
    }

    fn again(&mut self, at: Duration, every: Option<Span>, event: Event) {
        if let Some(at) = every.and_then(|every| at.checked_add(every.0)) {
            self.agenda.push(Due { at, event });
        }
    }

    fn choose<'a>(&self, now: Duration, path: &str, answers: &'a [Answer]) -> Option<(usize, &'a Answer)> {
        answers.iter().enumerate().find(|(index, answer)| {
            let given = self.given.get(&(path.to_owned(), *index)).copied().unwrap_or_default();
            answer.until.is_none_or(|until| now < until.0) && answer.times.is_none_or(|times| given < times)
        })
    }

    fn body(&self, answer: &Answer) -> String {
        let file = answer.body_file.as_ref().and_then(|path| self.files.get(path));
        // A file is served as it is; placeholders belong to the workload's own text.
        file.cloned().unwrap_or_else(|| self.fill(answer.body.as_deref().unwrap_or_default()))
    }

    /// Puts values in the place of `{port}` and `{env.NAME}`.
    fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, braced) = rest.split_at(open);
            filled.push_str(before);
            let value = braced.find('}').and_then(|close| Some((self.value(&braced[1..close])?, &braced[close + 1..])));
            let (value, after) = value.unwrap_or_else(|| ("{".to_owned(), &braced[1..]));
            filled.push_str(&value);
            rest = after;
        }
        filled + rest
    }

    fn value(&self, name: &str) -> Option<String> {
        if name == "port" {
            return self.port.map(|port| port.to_string());
        }
        let variable = name.strip_prefix("env.")?;
        Some(self.env.get(variable).cloned().unwrap_or_default())
    }
}

/// A delay from an environment variable: a duration or whole seconds.
fn delay(value: &str) -> Option<Duration> {
    let span = value.parse::<Span>().map(Duration::from);
    span.ok().or_else(|| value.parse().ok().map(Duration::from_secs))
}
