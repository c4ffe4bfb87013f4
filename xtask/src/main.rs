//! The project's chores, as `cargo xtask TASK`.
//!
//! `test` is the whole of what has to hold before a change lands; continuous integration runs the same list through
//! `.ci/run`. A step is one [`runner::Step`] in a table: a name, a line about it, and a function.

mod contracts;
mod count;
mod page;
mod process;
mod runner;
mod steps;
mod tools;
mod walls;

use std::process::ExitCode;

use process::Context;

const HELP: &str = "\
cargo xtask TASK

tasks:
  test                everything that has to hold before a change lands
  test --only STEP    one step of it; may be given several times
  test --list         the steps, in their order
  artifacts           rebuild the contracts, write their ABI and bytecode for depin-evm
  page                rebuild the program that recomputes an epoch in a browser

environment:
  CI=true             nothing may be skipped: a skip is a failure, missing tools are installed, Cargo.lock is final
  DEPIN_VECTORS       the folder of known answers made by others (default: ../shared/vectors)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let context = Context::from_environment();
    let done = match arguments.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(true)
        }
        ["test", "--list"] => {
            runner::list(steps::STEPS);
            Ok(true)
        }
        ["test", rest @ ..] => {
            runner::select(steps::STEPS, rest).map(|selected| runner::run(&context, &selected))
        }
        ["page"] => page::write_program(&context).map(|()| true),
        ["artifacts"] => contracts::write_artifacts(&context).map(|()| true),
        [other, ..] => {
            Err(format!("unknown task `{other}` or wrong arguments; `cargo xtask` lists the tasks"))
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::from(2)
        }
    }
}
