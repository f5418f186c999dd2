//! One program through its lives: started, waited for, ended, started again after a while.
//!
//! Each start and each end is an energy of the engine's ([`STARTED_TOPIC`], [`EXITED_TOPIC`]). A restart waits; twice as
//! long each time, until the program has run for longer than the longest wait. The process is not reaped before its
//! group is killed, so that no other process can have got its number.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::output::Last;
use super::{Control, input, output};
use crate::engine::Clock;
use crate::engine::clock::steady_ms;
use crate::engine::live::notice::{EXITED_TOPIC, Notice, STARTED_TOPIC};
use crate::log::{Commit, Log};
use crate::runeset::Restart;
use crate::server::Plane;

/// How long threads may take to read what a program that has ended left behind.
const LEFTOVER: Duration = Duration::from_secs(2);

/// How a life ended.
struct Ended {
    status: io::Result<ExitStatus>,
    stderr: String,
}

impl Ended {
    fn is_good(&self) -> bool {
        self.status.as_ref().is_ok_and(ExitStatus::success)
    }
}

/// Keeps a program running until the server stops.
pub(super) fn keep(control: &Arc<Control>, plane: &Arc<Plane>) {
    let exec = &control.command.exec;
    let (shortest, longest) = (exec.backoff_ms, exec.backoff_max_ms.max(exec.backoff_ms));
    let mut wait_ms = shortest;
    loop {
        control.wait(None, |state| state.is_over || state.is_wanted);
        if control.state().is_over {
            return;
        }
        let begun = steady_ms();
        let ended = live(control, plane);
        if steady_ms().saturating_sub(begun) > longest {
            wait_ms = shortest;
        }
        let state = *control.state();
        let goes_on = match exec.restart {
            Restart::Always => true,
            Restart::OnFailure => !ended.is_good(),
            Restart::Never => false,
        };
        let restarts = goes_on && state.is_wanted && !state.is_over;
        tell(plane, exited(&exec.name, &ended, restarts.then_some(wait_ms)));
        if restarts {
            let wait = Duration::from_millis(wait_ms);
            control.wait(Some(wait), |state| state.is_over || !state.is_wanted);
            wait_ms = wait_ms.saturating_mul(2).min(longest);
        } else {
            // Where a request has stopped it and another started it meanwhile, it is started.
            control.change(|now| now.is_wanted &= !state.is_wanted);
            wait_ms = shortest;
        }
    }
}

/// One life, from start to end.
fn live(control: &Arc<Control>, plane: &Arc<Plane>) -> Ended {
    let command = &control.command;
    let pipe = |is_used: bool| if is_used { Stdio::piped() } else { Stdio::null() };
    let (program, arguments) =
        command.exec.command.split_first().map_or(("", &[][..]), |(program, rest)| (program, rest));
    let mut spawned = Command::new(program);
    spawned.args(arguments).current_dir(&command.folder).process_group(0);
    spawned
        .stdin(pipe(!command.input.is_empty()))
        .stdout(pipe(command.exec.output.is_some()))
        .stderr(Stdio::piped());
    let mut child = match spawned.spawn() {
        Ok(child) => child,
        Err(error) => return Ended { status: Err(error), stderr: String::new() },
    };
    let pid = i32::try_from(child.id()).unwrap_or_default();
    control.change(|state| {
        (state.pid, state.has_ended) = (Some(pid), false);
        state.starts += 1;
    });
    let restarts = i64::try_from(control.state().starts.saturating_sub(1)).unwrap_or(i64::MAX);
    let notice = Notice::new(STARTED_TOPIC).with("name", &command.exec.name);
    tell(plane, notice.number("pid", i64::from(pid)).number("restarts", restarts));
    let is_over = Arc::new(AtomicBool::new(false));
    let (last, threads) = attend(control, plane, &mut child, &is_over);
    let status = see_off(control, &mut child, pid);
    is_over.store(true, std::sync::atomic::Ordering::Release);
    for thread in threads {
        if thread.recv_timeout(LEFTOVER) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            tracing::warn!(name = command.exec.name, "somebody who left its process group holds its pipes");
        }
    }
    control.change(|state| state.pid = None);
    Ended { status, stderr: last.text() }
}

/// Starts the threads for its pipes; each gives up its end of a channel when it is done.
fn attend(
    control: &Arc<Control>,
    plane: &Arc<Plane>,
    child: &mut Child,
    is_over: &Arc<AtomicBool>,
) -> (Last, Vec<Receiver<()>>) {
    let (command, last) = (&control.command, Last::default());
    let mut threads = Vec::new();
    if let (Some(pipe), Some(topic)) = (child.stdout.take(), command.exec.output.clone()) {
        let plane = plane.clone();
        threads.push(spawn(move || output::read(pipe, &topic, &plane)));
    }
    if let Some(pipe) = child.stderr.take() {
        let last = last.clone();
        threads.push(spawn(move || last.read(pipe)));
    }
    if let Some(pipe) = child.stdin.take() {
        let (name, patterns) = (command.exec.name.clone(), command.input.clone());
        let (plane, is_over) = (plane.clone(), is_over.clone());
        threads.push(spawn(move || input::write(pipe, &name, patterns, &plane, &is_over)));
    }
    let (control, pid) = (control.clone(), child.id());
    threads.push(spawn(move || {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // It stays to be reaped.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Some(pid) = pid
            && matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR))
        {}
        control.change(|state| state.has_ended = true);
    }));
    (last, threads)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Receiver<()> {
    let (sender, done) = bounded(0);
    thread::spawn(move || {
        work();
        drop(sender);
    });
    done
}

/// Waits for its end, or brings it about: asks, then kills; and kills what is left of its group.
fn see_off(control: &Control, child: &mut Child, pid: i32) -> io::Result<ExitStatus> {
    let signal = |signal| {
        // A group that is gone is what was wanted.
        let _ = Pid::from_raw(pid).map(|pid| kill_process_group(pid, signal));
    };
    let has_ended = |state: &super::State| state.has_ended;
    control.wait(None, |state| state.has_ended || state.is_over || !state.is_wanted);
    if !control.state().has_ended {
        signal(Signal::TERM);
        let patience = Duration::from_millis(control.command.exec.stop_ms);
        if !control.wait(Some(patience), has_ended) {
            signal(Signal::KILL);
            control.wait(None, has_ended);
        }
    }
    signal(Signal::KILL);
    child.wait()
}

fn exited(name: &str, ended: &Ended, restart_ms: Option<u64>) -> Notice {
    let mut notice = Notice::new(EXITED_TOPIC).with("name", name);
    notice = match &ended.status {
        Err(error) => notice.with("error", &error.to_string()),
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => notice.number("code", i64::from(code)),
            (None, Some(signal)) => notice.number("signal", i64::from(signal)),
            (None, None) => notice,
        },
    };
    if !ended.stderr.is_empty() {
        notice = notice.with("stderr", &ended.stderr);
    }
    match restart_ms {
        Some(wait) => notice.number("restart_ms", i64::try_from(wait).unwrap_or(i64::MAX)),
        None => notice,
    }
}

fn tell(plane: &Plane, notice: Notice) {
    if let Err(error) = plane.log().append(Commit::of(notice.into_events(Clock::System.now_ms()))) {
        tracing::error!(%error, "what a program did could not be recorded");
    }
}
