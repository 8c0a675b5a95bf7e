//! Compiling in a child process with limits: a component is untrusted input, and a compiler is a large program.
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::build::job::{Built, Job, Request};
use crate::build::pipeline;
use crate::gate::{GateError, Report, Sketch};
use crate::limits::COMPONENT_BYTES;

/// By the clock; a large JavaScript plugin takes some 20 s.
const DEADLINE: Duration = Duration::from_secs(180);
/// CPU seconds over all of the child's threads.
const CPU_SECONDS: u64 = 240;
/// Private memory of the child, beside what the guest's own copies need: 350 MB is what a large component takes.
const MEMORY: u64 = 2 << 30;
const ANSWER_BYTES: u64 = 1 << 30;
const HEAD_BYTES: usize = 16 << 20;
/// Of what the child wrote to its standard error, the end.
const COMPLAINT: usize = 2 << 10;
const NICE: libc::c_int = 10;

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In this process, for tests and small tools.
    InProcess,
    /// In a child that calls [`compile_child_main`], with limits on its time and memory.
    Child {
        /// The program of the child.
        program: PathBuf,
        /// Its arguments.
        args: Vec<String>,
    },
}

impl Compiler {
    /// The program that runs now, in a process of its own with limits: its command `compile-plugin` calls
    /// [`compile_child_main`].
    ///
    /// # Errors
    /// Where the system does not say which file this program was started from.
    pub fn this_program() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self::Child { program, args: vec!["compile-plugin".to_owned()] })
    }

    pub(crate) async fn build(&self, job: Job, wasm: Bytes) -> Result<Built, GateError> {
        match self {
            Self::InProcess => {
                let built = tokio::task::spawn_blocking(move || pipeline::build(&job, &wasm)).await;
                built.unwrap_or_else(|error| Err(GateError::Compile(error.to_string())))
            }
            Self::Child { program, args } => {
                let (report, native) = ask(program, args, &Request::Build(job), &wasm).await?;
                Ok(Built { report, native })
            }
        }
    }

    /// Asks a component what it is.
    pub(crate) async fn sketch(&self, job: Job, wasm: Bytes) -> Result<Sketch, GateError> {
        match self {
            Self::InProcess => {
                let made = tokio::task::spawn_blocking(move || pipeline::sketch(&job, &wasm)).await;
                made.unwrap_or_else(|error| Err(GateError::Compile(error.to_string())))
            }
            Self::Child { program, args } => {
                let request = Request::Sketch(job);
                ask(program, args, &request, &wasm).await.map(|(sketch, _)| sketch)
            }
        }
    }
}

/// Starts a child, hands it the request and the component, and waits for its answer.
async fn ask<T: DeserializeOwned>(
    program: &Path,
    args: &[String],
    request: &Request,
    wasm: &Bytes,
) -> Result<(T, Vec<u8>), GateError> {
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            GateError::Compile(format!("{} does not start: {error}", program.display()))
        })?;
    let talk = talk(&mut child, request, wasm);
    match tokio::time::timeout(DEADLINE, talk).await {
        Ok(answer) => answer,
        Err(_) => Err(GateError::Compile(format!("took longer than {DEADLINE:?}"))),
    }
}

async fn talk<T: DeserializeOwned>(
    child: &mut Child,
    request: &Request,
    wasm: &Bytes,
) -> Result<(T, Vec<u8>), GateError> {
    let failed = |what: &str| GateError::Compile(what.to_owned());
    let (Some(mut input), Some(output), Some(mut complaint)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed("the child has no pipes"));
    };
    let request = head(request)?;
    let send = async {
        // A child that ends early says why at its other end.
        let _ = input.write_all(&request).await;
        let _ = input.write_all(wasm).await;
        drop(input);
    };
    let receive = async {
        let mut answer = Vec::new();
        output.take(ANSWER_BYTES).read_to_end(&mut answer).await.map(|_| answer)
    };
    let listen = async {
        let (mut text, mut chunk) = (Vec::new(), [0; 1_024]);
        while let Ok(count @ 1..) = complaint.read(&mut chunk).await {
            text.extend_from_slice(&chunk[..count]);
            text.drain(..text.len().saturating_sub(COMPLAINT));
        }
        text
    };
    let ((), answer, complaint) = tokio::join!(send, receive, listen);
    let status = child.wait().await.map_err(|error| failed(&error.to_string()))?;
    if !status.success() {
        return Err(failed(&end(status, &complaint)));
    }
    let answer = answer.map_err(|error| failed(&error.to_string()))?;
    let (said, native) = split::<Result<T, GateError>>(&answer)
        .ok_or_else(|| failed("the child's answer is cut off"))?;
    Ok((said?, native.to_vec()))
}

fn end(status: ExitStatus, complaint: &[u8]) -> String {
    let text = crate::text::escape(String::from_utf8_lossy(complaint).trim(), COMPLAINT);
    let text = if text.is_empty() { text } else { format!(": {text}") };
    format!("the compiler ended early ({status}){text}")
}

/// The child's side: reads a component from `input`, takes it through the gate
/// under the child's own limits, and writes report and native code to `output`.
/// Gives the exit code. Call it in a process that does nothing else.
pub fn compile_child_main(mut input: impl Read, mut output: impl Write) -> u8 {
    let mut request = Vec::new();
    if input.by_ref().take(COMPONENT_BYTES + HEAD_BYTES as u64).read_to_end(&mut request).is_err() {
        return 1;
    }
    let Some((request, wasm)) = split::<Request>(&request) else { return 1 };
    let (head, native) = match request {
        Request::Build(job) => {
            hold_back(job.limits.memory);
            match pipeline::build(&job, wasm) {
                Ok(Built { report, native }) => (head(&Ok::<Report, GateError>(report)), native),
                Err(error) => (head(&Err::<Report, _>(error)), Vec::new()),
            }
        }
        Request::Sketch(job) => {
            hold_back(job.limits.memory);
            (head(&pipeline::sketch(&job, wasm)), Vec::new())
        }
    };
    let Ok(head) = head else { return 1 };
    let written = output
        .write_all(&head)
        .and_then(|()| output.write_all(&native))
        .and_then(|()| output.flush());
    u8::from(written.is_err())
}

/// Four bytes of length, then JSON; what follows is bytes.
fn head(value: &impl Serialize) -> Result<Vec<u8>, GateError> {
    let json = serde_json::to_vec(value).map_err(|error| GateError::Compile(error.to_string()))?;
    let size = u32::try_from(json.len())
        .map_err(|_| GateError::Compile("the settings are too large".into()))?;
    let mut out = size.to_le_bytes().to_vec();
    out.extend_from_slice(&json);
    Ok(out)
}

fn split<T: DeserializeOwned>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let size =
        usize::try_from(u32::from_le_bytes(*size)).ok().filter(|size| *size <= HEAD_BYTES)?;
    let (json, rest) = rest.split_at_checked(size)?;
    Some((serde_json::from_slice(json).ok()?, rest))
}

/// The child's limits; a guest may use `guest` bytes of its own in `init`.
fn hold_back(guest: u64) {
    let limits = [
        (libc::RLIMIT_CPU, CPU_SECONDS),
        // Not the address space: the engine reserves much of it and uses little.
        (libc::RLIMIT_DATA, MEMORY.saturating_add(guest.saturating_mul(4))),
        (libc::RLIMIT_CORE, 0),
    ];
    for (what, most) in limits {
        let most = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: `most` lives through the call; a refusal leaves the system's own limit.
        unsafe { libc::setrlimit(what, &most) };
    }
    // SAFETY: takes no pointers; a refusal leaves the priority as it was.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}
