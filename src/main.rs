//! The `bursar` binary: parse arguments, run, exit code. Everything else is the library.

use std::process::ExitCode;

use bursar::cli::{self, Cli, Command, Failure};
use clap::Parser;

/// A call makes and drops some hundred small values; this one does it for a third of the cost of the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Wrong usage ends here, with code 2 and clap's own words.
    let Cli { global, command } = Cli::parse();
    let ended = match command {
        Command::Serve(serve) => serve_until_stopped(cli::serve::Options::new(global, serve)),
        command => on(&mut tokio::runtime::Builder::new_current_thread(), cli::run(&global, command)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}

fn serve_until_stopped(options: cli::serve::Options) -> Result<(), Failure> {
    let serve = async { bursar::app::serve(options).await.map_err(Failure::refused) };
    on(&mut runtime(), serve)
}

/// One core is served best by one thread: nothing is handed from thread to thread.
fn runtime() -> tokio::runtime::Builder {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    }
}

fn on(runtime: &mut tokio::runtime::Builder, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = runtime.enable_all().build().map_err(Failure::refused)?;
    runtime.block_on(work)
}
