//! Full-screen form of an import, and the kiosk: for an operator who has never read the manual. One step at a time:
//! choose a medium, watch the import, read the result, take the receipt along. The console reads no medium and decides
//! nothing: the import that it starts does both, in confined processes.

mod boxes;
pub(crate) mod draw;
pub(crate) mod job;
pub(crate) mod result;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::report::{releases, status};
use crate::state::State;
use crate::state::progress::{self, Progress};
use base::error::IoContext as _;
use base::{Fault, clock};
use bundle::ReleaseId;
use config::Config;
use inspect::Verdict;
use job::{ImportSummary, Job};
use media::mounted::{Mounted, Plugged, mounted, plugged};

/// Time between two looks at the keyboard.
const TICK: Duration = Duration::from_millis(100);
/// Time between two looks at the host and the state.
const LOOK: Duration = Duration::from_secs(1);
/// Time before a relay that ended is started again.
const AGAIN: Duration = Duration::from_secs(5);

/// Scene on the screen.
pub(crate) enum Scene {
    /// Waits for a medium.
    Idle,
    /// Asks for a line of text.
    Asking(Question, String),
    /// An import runs.
    Running(Box<Job>, bool),
    /// The import is over.
    Done(Done),
    /// The verdicts of one release.
    Verdicts(Done, ReleaseId, Vec<Verdict>),
    /// The receipt, as large as the screen.
    Receipt(Done),
    /// Keys of a scene.
    Help(Box<Scene>),
    /// Question whether to stop everything.
    Leaving,
}

/// Text that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The folder that the medium is mounted at.
    Place,
    /// The operator's name, before this medium is imported, if one was chosen.
    Operator(Option<PathBuf>),
}

/// Result of an import.
#[derive(Clone, Default)]
pub(crate) struct Done {
    /// Parsed output; none if there was none.
    pub outcome: Option<ImportSummary>,
    /// Lines on standard error.
    pub said: Vec<String>,
    /// Exit status.
    pub code: Option<i32>,
    /// The bundle that is chosen.
    pub chosen: usize,
}

/// The console.
pub(crate) struct Console<'a> {
    state: &'a State,
    config: &'a Config,
    scene: Scene,
    operator: String,
    media: Vec<Mounted>,
    plugged: Vec<Plugged>,
    chosen: usize,
    /// Scroll position of a list.
    scroll: u16,
    progress: Option<Progress>,
    status: Option<status::Status>,
    looked: Option<Instant>,
    /// The relay, in the kiosk.
    relay: Option<KioskRelay>,
    last: Option<Done>,
}

/// The relay that runs under the kiosk.
struct KioskRelay {
    args: Vec<String>,
    job: Option<Job>,
    ended: Option<Instant>,
    said: Vec<String>,
}

/// Effect of a key.
enum Next {
    Go,
    Leave,
}

/// Runs the console until the operator leaves. Gives the last import's end: its status, and its receipt. `relay`:
/// the arguments of `up`, which then runs as long as this does, and leaving is asked for twice.
pub(crate) fn run(
    state: &State,
    config: &Config,
    operator: String,
    relay: Option<Vec<String>>,
) -> Result<Option<Done>, Fault> {
    let relay = relay.map(|args| KioskRelay { args, job: None, ended: None, said: Vec::new() });
    let mut console = Console {
        state,
        config,
        scene: Scene::Idle,
        operator,
        media: Vec::new(),
        plugged: Vec::new(),
        chosen: 0,
        scroll: 0,
        progress: None,
        status: None,
        looked: None,
        relay,
        last: None,
    };
    let screen = Path::new("the terminal");
    let mut terminal = ratatui::try_init().during("use", screen)?;
    let ended = console.go(&mut terminal);
    ratatui::try_restore().during("restore", screen)?;
    ended.map(|()| console.last)
}

impl Console<'_> {
    fn go(&mut self, terminal: &mut DefaultTerminal) -> Result<(), Fault> {
        let failed = |source| Fault::Io { operation: "use", path: "the terminal".into(), source };
        loop {
            self.look()?;
            terminal.draw(|frame| draw::draw(self, frame)).map_err(failed)?;
            if !event::poll(TICK).map_err(failed)? {
                continue;
            }
            let Event::Key(key) = event::read().map_err(failed)? else { continue };
            if key.kind != KeyEventKind::Press {
                continue;
            }
            if matches!(self.press(key)?, Next::Leave) {
                return Ok(());
            }
        }
    }

    /// Looks at the host, at the state, and at what was started.
    fn look(&mut self) -> Result<(), Fault> {
        if let Scene::Running(job, _) = &mut self.scene {
            // One that is being written just now is seen the next time.
            let progress = progress::read(self.state).ok().flatten();
            self.progress = progress.filter(|progress| progress.begun >= job.since).or(self.progress.take());
            if let Some(status) = job.ended()? {
                let outcome = job.outcome();
                let done = Done { outcome, said: job.said(8), code: status.code(), chosen: 0 };
                self.last = Some(done.clone());
                (self.progress, self.looked) = (None, None);
                self.show(Scene::Done(done));
            }
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        self.media = mounted(Path::new("/")).unwrap_or_default();
        self.plugged = plugged(Path::new("/"));
        self.chosen = self.chosen.min(self.media.len().saturating_sub(1));
        self.status = Some(status::status(self.state, self.config, clock::now()));
        if let Some(relay) = &mut self.relay {
            relay.look(self.state.root())?;
        }
        Ok(())
    }

    fn show(&mut self, scene: Scene) {
        self.scene = scene;
        self.scroll = 0;
    }

    fn press(&mut self, key: KeyEvent) -> Result<Next, Fault> {
        let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
        let code = if interrupt { KeyCode::Esc } else { key.code };
        match std::mem::replace(&mut self.scene, Scene::Idle) {
            Scene::Asking(question, text) => self.answer(question, text, code)?,
            Scene::Running(job, stopping) => {
                if matches!(code, KeyCode::Esc) && stopping {
                    job.stop();
                }
                // Asked for twice: the first time says what it means.
                self.scene = Scene::Running(job, matches!(code, KeyCode::Esc));
            }
            Scene::Done(done) => return Ok(self.read(done, code)),
            Scene::Verdicts(done, id, verdicts) => match code {
                KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => self.show(Scene::Done(done)),
                _ => {
                    self.turn(code);
                    self.scene = Scene::Verdicts(done, id, verdicts);
                }
            },
            Scene::Receipt(done) => self.show(Scene::Done(done)),
            Scene::Help(before) => self.show(*before),
            Scene::Leaving => {
                if matches!(code, KeyCode::Char('y')) {
                    return Ok(Next::Leave);
                }
            }
            Scene::Idle => return self.begin(code),
        }
        Ok(Next::Go)
    }

    /// While nothing runs.
    fn begin(&mut self, code: KeyCode) -> Result<Next, Fault> {
        match code {
            KeyCode::Up => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Down => self.chosen = (self.chosen + 1).min(self.media.len().saturating_sub(1)),
            KeyCode::Enter => {
                if let Some(medium) = self.media.get(self.chosen) {
                    self.start(&medium.place.clone())?;
                }
            }
            KeyCode::Char('p') => self.show(Scene::Asking(Question::Place, String::new())),
            KeyCode::Char('o') => self.show(Scene::Asking(Question::Operator(None), self.operator.clone())),
            KeyCode::Char('?') | KeyCode::F(1) => self.show(Scene::Help(Box::new(Scene::Idle))),
            KeyCode::Char('q') | KeyCode::Esc if self.relay.is_some() => self.show(Scene::Leaving),
            KeyCode::Char('q') | KeyCode::Esc => return Ok(Next::Leave),
            _ => {}
        }
        Ok(Next::Go)
    }

    fn answer(&mut self, question: Question, mut text: String, code: KeyCode) -> Result<(), Fault> {
        match code {
            KeyCode::Esc => return Ok(()),
            KeyCode::Enter if !text.trim().is_empty() => {
                return match question {
                    Question::Place => self.start(Path::new(text.trim())),
                    Question::Operator(medium) => {
                        text.trim().clone_into(&mut self.operator);
                        medium.map_or(Ok(()), |medium| self.start(&medium))
                    }
                };
            }
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Char(letter) if text.chars().count() < 200 => text.push(letter),
            _ => {}
        }
        self.scene = Scene::Asking(question, text);
        Ok(())
    }

    fn start(&mut self, medium: &Path) -> Result<(), Fault> {
        if self.operator.trim().is_empty() {
            let question = Question::Operator(Some(medium.to_owned()));
            self.show(Scene::Asking(question, String::new()));
            return Ok(());
        }
        self.progress = None;
        let job = Job::import(self.state.root(), medium, &self.operator)?;
        self.show(Scene::Running(Box::new(job), false));
        Ok(())
    }

    /// When an import is over.
    fn read(&mut self, mut done: Done, code: KeyCode) -> Next {
        let bundles = done.outcome.as_ref().map_or(0, |outcome| outcome.bundles.len());
        match code {
            KeyCode::Char('q') if self.relay.is_none() => return Next::Leave,
            KeyCode::Enter | KeyCode::Esc | KeyCode::Char('q') => {
                // Whoever comes next at a kiosk may be another.
                if self.relay.is_some() {
                    self.operator.clear();
                }
                return Next::Go;
            }
            KeyCode::Up => done.chosen = done.chosen.saturating_sub(1),
            KeyCode::Down => done.chosen = (done.chosen + 1).min(bundles.saturating_sub(1)),
            KeyCode::Char('r') => {
                self.show(Scene::Receipt(done));
                return Next::Go;
            }
            KeyCode::Char('v') => {
                if let Some((id, verdicts)) = self.verdicts(&done) {
                    self.show(Scene::Verdicts(done, id, verdicts));
                    return Next::Go;
                }
            }
            _ => {}
        }
        self.scene = Scene::Done(done);
        Next::Go
    }

    /// The verdicts of the chosen bundle, what was withheld first.
    fn verdicts(&self, done: &Done) -> Option<(ReleaseId, Vec<Verdict>)> {
        let bundle = done.outcome.as_ref()?.bundles.get(done.chosen)?;
        let id = ReleaseId { feed: bundle.feed.clone()?, version: bundle.version? };
        let mut verdicts = releases::release_details(self.state, self.config, &id).ok()?.verdicts;
        verdicts.sort_by_key(|verdict| verdict.reason.is_none());
        Some((id, verdicts))
    }

    fn turn(&mut self, code: KeyCode) {
        self.scroll = match code {
            KeyCode::Up => self.scroll.saturating_sub(1),
            KeyCode::Down => self.scroll.saturating_add(1),
            KeyCode::PageUp => self.scroll.saturating_sub(10),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll.saturating_add(10),
            KeyCode::Home => 0,
            _ => self.scroll,
        };
    }
}

impl KioskRelay {
    /// Keeps the relay running.
    fn look(&mut self, state: &Path) -> Result<(), Fault> {
        if let Some(job) = &mut self.job {
            self.said = job.said(3);
            if job.ended()?.is_none() {
                return Ok(());
            }
            self.job = None;
            self.ended = Some(Instant::now());
        }
        if self.ended.is_none_or(|ended| ended.elapsed() >= AGAIN) {
            self.job = Some(Job::relay(state, &self.args)?);
        }
        Ok(())
    }
}
